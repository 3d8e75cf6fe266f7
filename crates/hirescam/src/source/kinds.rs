//! Files that are given as a network and are none, and what helps.

use image::guess_format;
use std::path::Path;

/// What a file is that cannot be read as a network, and what helps; none where it looks like nothing in particular.
pub(crate) fn no_network(path: &Path, bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const SWAPPED: &str = "the network comes first, then the images";
    const TORCH: &str = "torch.onnx.export writes the ONNX file of a PyTorch network";
    const KERAS: &str = "tf2onnx, or export(format=\"onnx\") of Keras 3, makes an ONNX file of it";
    let ending = path.extension().map_or(String::new(), |e| e.to_string_lossy().to_lowercase());
    let at = |start: usize, magic: &[u8]| bytes.get(start..).is_some_and(|rest| rest.starts_with(magic));
    let named = |endings: &[&str]| endings.contains(&ending.as_str());
    if at(0, b"\x93NUMPY") {
        return Some(("a NumPy array", SWAPPED));
    }
    if at(0, b"version https://git-lfs") {
        return Some(("a pointer of Git LFS", "git lfs pull fetches the file itself"));
    }
    if at(0, b"\x89HDF") {
        return Some(("an HDF5 file, as Keras and PyTorch write for weights", KERAS));
    }
    if at(4, b"TFL3") {
        return Some(("a network of TensorFlow Lite", "python -m tf2onnx.convert --tflite makes an ONNX file of it"));
    }
    if at(4, b"ORTM") {
        return Some(("a network in ONNX Runtime's own format", "the .onnx file that it was made from is wanted"));
    }
    if at(0, b"PK") && named(&["keras"]) {
        return Some(("a network of Keras", KERAS));
    }
    if at(0, b"PK") && named(&["npz"]) {
        return Some(("an archive of NumPy arrays", SWAPPED));
    }
    if (at(0, b"PK") || at(0, b"\x80")) && named(&["pt", "pth", "ckpt", "bin", "pkl", "ts", "torchscript", "tar"]) {
        return Some(("a file of PyTorch", TORCH));
    }
    // The length of a JSON header, then the header.
    if named(&["safetensors"]) || (at(8, b"{\"") && at(4, &[0; 4])) {
        return Some(("a file of weights (safetensors), without the network", TORCH));
    }
    if named(&["pb"]) {
        return Some(("a graph of TensorFlow", "tf2onnx makes an ONNX file of it"));
    }
    if at(0, b"<?xml") && named(&["xml"]) {
        return Some(("a network of OpenVINO", "the ONNX file that it was made from is wanted"));
    }
    guess_format(bytes).is_ok().then_some(("a picture", SWAPPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_programs_are_known_by_their_content() {
        let cases: &[(&str, &[u8], &str)] = &[
            ("net.pt", b"PK\x03\x04...", "torch.onnx.export"),
            ("net.pth", b"\x80\x02}q\x00.", "torch.onnx.export"),
            ("net.keras", b"PK\x03\x04...", "Keras"),
            ("net.h5", b"\x89HDF\r\n\x1a\n", "tf2onnx"),
            ("net.tflite", b"\x1c\0\0\0TFL3", "--tflite"),
            ("net.onnx", b"\x10\0\0\0\0\0\0\0{\"a\":{}}", "torch.onnx.export"),
            ("photo.png", b"\x89PNG\r\n\x1a\n", "network comes first"),
            ("scan.npy", b"\x93NUMPY\x01\0", "network comes first"),
            ("net.onnx", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        ];
        for (name, bytes, remedy) in cases {
            let found = no_network(Path::new(name), bytes);
            assert!(found.is_some_and(|(_, helps)| helps.contains(remedy)), "{name}: {found:?}");
        }
        assert_eq!(no_network(Path::new("net.onnx"), b"\x08\x07\x12"), None);
    }
}
