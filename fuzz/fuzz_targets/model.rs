//! A model file through all of the core. Every other mutation changes a field and not a byte, to get past the decoder.
#![no_main]

use hirescam_core::onnx;
use hirescam_testing::{mutate::mutate, pipeline};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| pipeline::run(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut state = seed;
    let mut below = |n: usize| {
        // Numerical Recipes' generator; its high bits are the random ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % n.max(1)
    };
    if below(2) == 0
        && let Ok(mut model) = onnx::read(data[..size].to_vec())
    {
        mutate(&mut model, &mut below);
        let bytes = onnx::write(&model);
        if bytes.len() <= max_size {
            data[..bytes.len()].copy_from_slice(&bytes);
            return bytes.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
});
