// SPDX-License-Identifier: Apache-2.0

// A library with NVML's functions and signatures, for a machine without NVIDIA's:
// 0000:17:00.0 tells everything, 0000:65:00.0 has no fan and no energy counter,
// 0000:66:00.0 has fallen off the bus.
#include <string.h>

enum { success = 0, notSupported = 3, notFound = 6, lost = 15 };
struct utilisation { unsigned gpu, memory; };
struct memory { unsigned long long total, free, used; };
static int first, second, third;

int nvmlInit_v2(void) { return success; }
const char *nvmlErrorString(int code) { return code == lost ? "GPU is lost" : code == notFound ? "Not Found" : "Not Supported"; }

int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **device) {
	if (!strcmp(pci, "0000:17:00.0")) *device = &first;
	else if (!strcmp(pci, "0000:65:00.0")) *device = &second;
	else if (!strcmp(pci, "0000:66:00.0")) *device = &third;
	else return notFound;
	return success;
}

static int answer(void *device, unsigned *to, unsigned value) {
	if (device == &third) return lost;
	*to = value;
	return success;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *to) { return sensor ? notSupported : answer(device, to, 71); }
int nvmlDeviceGetPowerUsage(void *device, unsigned *to) { return answer(device, to, 689123); }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *to) { return answer(device, to, 700000); }
int nvmlDeviceGetClockInfo(void *device, int which, unsigned *to) { return answer(device, to, which == 1 ? 1755 : which == 2 ? 2619 : 1); }
int nvmlDeviceGetFanSpeed(void *device, unsigned *to) { return device == &second ? notSupported : answer(device, to, 54); }

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *to) {
	if (device != &first) return notSupported;
	*to = 5000000000000ULL;
	return success;
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilisation *to) {
	if (device == &third) return lost;
	to->gpu = 99, to->memory = 40;
	return success;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *to) {
	if (device == &third) return lost;
	to->total = 80ULL << 30, to->free = 70ULL << 30, to->used = 10ULL << 30;
	return success;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *to) {
	if (device == &third) return lost;
	*to = device == &first ? 0x25 : 0x1; // idle, power, temperature; idle
	return success;
}
