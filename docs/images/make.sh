#!/usr/bin/env bash
# Makes the pictures of the README and of docs/check.md again, with the program itself and, for the page of a check, Chromium.
# docs/images/quantised.png is made by scripts/quantised.py, docs/images/view*.png by web/tests/pictures.mjs.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
explain() { cargo run --quiet -- explain "$@" --engine tract --overwrite --out "$out" > /dev/null; }
explain fixtures/efficientnet-lite0.onnx fixtures/photos/coffee.png
mv "$out/coffee.png" docs/images/coffee.png
for method in hirescam gradcam; do
  explain fixtures/digits-cnn.onnx fixtures/photos/seven.png --method "$method" --signed
  mv "$out/seven.png" "docs/images/seven-$method.png"
done
cargo run --quiet -- check fixtures/digits-cnn.onnx fixtures/photos/{seven,three}.png --html "$out/check.html" --engine tract \
  --layer /conv_layers/conv_layers.7/Relu_output_0 --pictures 1 > /dev/null
chromium --headless --no-sandbox --hide-scrollbars --window-size=1110,1290 --screenshot=docs/images/check.png "file://$out/check.html"
rm -r "$out"
