// SPDX-License-Identifier: Apache-2.0

package main

import "strings"

// peaks are dense int8 TOPS of the makers' datasheets and architecture papers, without sparsity, by
// the name that a driver gives. Names are compared whole: a laptop's chip, a slice of a device
// (MIG) or another edition has another peak.
var peaks = map[string]float64{
	"Tesla T4":                          130,
	"NVIDIA GeForce RTX 2080 Ti":        215.2,
	"NVIDIA A100-SXM4-40GB":             624,
	"NVIDIA A100-SXM4-80GB":             624,
	"NVIDIA A100-PCIE-40GB":             624,
	"NVIDIA A100 80GB PCIe":             624,
	"NVIDIA A30":                        330,
	"NVIDIA A40":                        299.3,
	"NVIDIA A10":                        250,
	"NVIDIA A2":                         36,
	"NVIDIA RTX A6000":                  309.7,
	"NVIDIA GeForce RTX 3080":           238,
	"NVIDIA GeForce RTX 3090":           284,
	"NVIDIA GeForce RTX 3090 Ti":        320,
	"NVIDIA L4":                         242.5,
	"NVIDIA L40":                        362,
	"NVIDIA L40S":                       733,
	"NVIDIA RTX 6000 Ada Generation":    728.5,
	"NVIDIA GeForce RTX 4080":           389.9,
	"NVIDIA GeForce RTX 4090":           660.6,
	"NVIDIA H100 80GB HBM3":             1979,
	"NVIDIA H100 PCIe":                  1513,
	"NVIDIA H100 NVL":                   1671,
	"NVIDIA H200":                       1979,
	"NVIDIA H200 NVL":                   1671,
	"NVIDIA GH200 480GB":                1979,
	"NVIDIA H20":                        296,
	"NVIDIA B200":                       4500,
	"NVIDIA GeForce RTX 5070":           246.9,
	"NVIDIA GeForce RTX 5070 Ti":        351.5,
	"NVIDIA GeForce RTX 5080":           450.2,
	"NVIDIA GeForce RTX 5090":           838,
	"AMD Instinct MI210":                181,
	"AMD Instinct MI250X":               383,
	"AMD Instinct MI300X":               2614.9,
	"AMD Instinct MI325X":               2614.9,
	"Intel(R) Arc(TM) A770 Graphics":    262,
	"Intel(R) Arc(TM) B580 Graphics":    233,
	"Intel(R) Data Center GPU Max 1550": 1678,
}

// datasheet is a device's peak in TOPS, nil where it is not known.
func datasheet(name string) *float64 {
	if peak, known := peaks[strings.Join(strings.Fields(name), " ")]; known {
		return &peak
	}
	return nil
}
