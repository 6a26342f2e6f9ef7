// SPDX-License-Identifier: Apache-2.0

// Package device finds what a machine can compute with, and chooses.
//
//	backend       devices                  engines
//	device/cpu    cpu, all cores as one    assembly, or the reference
//	device/cuda   cuda:0, cuda:1, ...      NVIDIA's, through their driver
//	device/opencl opencl:0, ...            all other GPUs, through OpenCL
//
// A device is used when it has given the known answers (work.SelfTest), and not
// before. Where one does not, its owner is told which, why and what to do; the
// processor never takes a GPU's place unasked, since a machine that earns a
// hundredth of what it should, and does not say so, is worse than one that
// stands still. A card that CUDA and OpenCL both offer is one device.
//
// A kind of devices is one entry in [Backends]: its name, whose cards it is for, and
// what the owner of one without a driver can do.
//
// Built with the tag nogpu there is the processor only, and nothing that needs a
// loader of libraries: the program is fully static.
package device
