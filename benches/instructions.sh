#!/bin/sh
# How many instructions the processor executes to differentiate a head: unlike a time, the same on a busy machine. Needs valgrind.
#
#     benches/instructions.sh                       EfficientNet-Lite0, last and first layer
#     benches/instructions.sh NETWORK [LAYER]
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release --workspace --example differentiate
count() {
    said=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='hirescam_core::cam::attach::attach' \
        target/release/examples/differentiate "$@" 2>&1) || { echo "$said" >&2; exit 1; }
    echo "$(echo "$said" | sed -n 's/.*Collected : //p') instructions for $(echo "$said" | grep -v '^==')"
}
if [ $# -gt 0 ]; then
    count "$@"
else
    count fixtures/efficientnet-lite0.onnx
    count fixtures/efficientnet-lite0.onnx /_conv_stem/Conv_output_0
fi
