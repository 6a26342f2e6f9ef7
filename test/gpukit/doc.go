// SPDX-License-Identifier: Apache-2.0

// Command gpukit proves and measures the GPU of a machine that has no Go, in under six minutes.
//
// `make gpu-kit` builds a folder, dist/gpu-kit, with everything that it runs: the worker, the
// compiled tests of the engines, the vectors they read, and this program behind run.sh. It starts
// them one after the other and writes one JSON file, gpu-kit.json:
//
//   - exact: the tests of each engine on the device, with the published vectors and at least 2,000
//     random products; what each test said, and the output of those that failed;
//   - speed: whole loops of matmul/1 and the bare product within them in TOPS, beside the peak of
//     the device's datasheet where this program knows it, and nonces a second by class;
//   - torch: torch._int_mm on the same machine, where python3 has torch.
//
// Nothing is left out silently. A device that is not there, or a step for which no time was left,
// is in the file with its reason. Exit code 0: a GPU is exact and was measured. 1: something
// computed wrongly, or failed. 3: there is no GPU; the processor alone was proven and measured.
package main
