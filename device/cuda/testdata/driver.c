// SPDX-License-Identifier: Apache-2.0
//
// The functions of libcuda.so.1 that the engine calls, with the signatures of
// NVIDIA's cuda.h, for a machine without a device: memory is the host's, and a
// launch writes down what it was called with. The tests of the binding compile
// it: what it shows is that each argument arrives where a C function expects it.

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int result;
typedef uint64_t address;
typedef int device;
typedef void *object;

enum { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NO_BINARY = 209, NOT_FOUND = 500 };

static int context, bound, live; // allocations, streams, events, modules
static unsigned flags;

#ifdef DEVICES
// What it found when it was started first stays so, as with the real one.
result cuInit(unsigned f) {
  static int started, found;
  if (!started) {
    FILE *devices = fopen(DEVICES, "r");
    started = 1, found = devices != NULL;
    if (devices) fclose(devices);
  }
  return f ? INVALID : found ? SUCCESS : NO_DEVICE;
}
#else
result cuInit(unsigned f) { return f ? INVALID : SUCCESS; }
#endif
result cuDriverGetVersion(int *v) { return *v = 12040, SUCCESS; }
result cuGetErrorName(result r, const char **name) {
  if (r != OUT_OF_MEMORY && r != NO_BINARY) return INVALID;
  return *name = r == NO_BINARY ? "CUDA_ERROR_NO_BINARY_FOR_GPU" : "CUDA_ERROR_OUT_OF_MEMORY", SUCCESS;
}
result cuDeviceGetCount(int *n) { return *n = 2, SUCCESS; }
result cuDeviceGet(device *d, int ordinal) { return *d = 40 + ordinal, ordinal < 0 || ordinal > 1 ? INVALID : SUCCESS; }
result cuDeviceGetName(char *name, int size, device d) { return snprintf(name, size, "Paper %d", d), SUCCESS; }
result cuDeviceTotalMem_v2(size_t *bytes, device d) { return *bytes = (size_t)d << 30, SUCCESS; }
result cuDeviceGetPCIBusId(char *id, int size, device d) { return snprintf(id, size, "0000:%02X:00.0", d + 128), SUCCESS; }
result cuDeviceGetAttribute(int *value, int attribute, device d) {
  switch (attribute) {
  case 13: return *value = 1500000, SUCCESS;
  case 16: return *value = 100, SUCCESS;
  case 75: return *value = d == 40 ? 8 : 7, SUCCESS;
  case 76: return *value = 0, SUCCESS;
  }
  return INVALID;
}
result cuDevicePrimaryCtxSetFlags_v2(device d, unsigned f) { return flags = f, SUCCESS; }
result cuDevicePrimaryCtxRetain(object *c, device d) { return *c = &context, live++, SUCCESS; }
result cuDevicePrimaryCtxRelease_v2(device d) { return live--, SUCCESS; }
result cuCtxSetCurrent(object c) { return c && c != &context ? INVALID : (bound = c != 0, SUCCESS); }
result cuMemGetInfo_v2(size_t *free, size_t *total) { return *free = 5ull << 30, *total = 6ull << 30, SUCCESS; }
result cuMemAlloc_v2(address *at, size_t bytes) {
  if (bytes > 5ull << 30) return OUT_OF_MEMORY;
  return *at = (address)(uintptr_t)malloc(bytes), live++, SUCCESS;
}
result cuMemFree_v2(address at) { return free((void *)(uintptr_t)at), live--, SUCCESS; }
result cuMemAllocHost_v2(void **p, size_t bytes) { return *p = malloc(bytes), live++, SUCCESS; }
result cuMemFreeHost(void *p) { return free(p), live--, SUCCESS; }
result cuStreamCreate(object *s, unsigned f) { return *s = malloc(1), live++, f == 1 ? SUCCESS : INVALID; }
result cuStreamSynchronize(object s) { return s ? SUCCESS : INVALID; }
result cuStreamDestroy_v2(object s) { return free(s), live--, SUCCESS; }
result cuMemcpyHtoDAsync_v2(address to, const void *from, size_t n, object s) { return memcpy((void *)(uintptr_t)to, from, n), s ? SUCCESS : INVALID; }
result cuMemcpyDtoHAsync_v2(void *to, address from, size_t n, object s) { return memcpy(to, (void *)(uintptr_t)from, n), s ? SUCCESS : INVALID; }
result cuEventCreate(object *e, unsigned f) { return *e = malloc(1), live++, SUCCESS; }
result cuEventRecord(object e, object s) { return e && s ? SUCCESS : INVALID; }
result cuEventElapsedTime(float *ms, object a, object b) { return *ms = a == b ? 0 : 1.5f, SUCCESS; }
result cuEventDestroy_v2(object e) { return free(e), live--, SUCCESS; }

// A module is its text. One that begins with "bad" does not compile, and says so
// in the log, option 5, whose size is option 6.
result cuModuleLoadDataEx(object *module, const char *image, unsigned n, int *options, void **values) {
  if (n != 4 || options[2] != 5 || options[3] != 6) return INVALID;
  if (!strncmp(image, "bad", 3)) return snprintf(values[2], (size_t)values[3], "line 1: it is bad, and the log has %zu bytes", (size_t)values[3]), NO_BINARY;
  return *module = strdup(image), live++, SUCCESS;
}
result cuModuleUnload(object module) { return free(module), live--, SUCCESS; }

static struct {
  char name[32];
  int shared;
} function;

result cuModuleGetFunction(object *f, object module, const char *name) {
  if (!strstr(module, name)) return NOT_FOUND;
  return snprintf(function.name, sizeof function.name, "%s", name), *f = &function, SUCCESS;
}
result cuFuncSetAttribute(object f, int attribute, int value) { return f == &function && attribute == 8 ? (function.shared = value, SUCCESS) : INVALID; }

// A launch writes its arguments as text to the address in the first parameter.
result cuLaunchKernel(object f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, object stream, void **parameters, void **extra) {
  if (f != &function || !stream || parameters || extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4]) return INVALID;
  size_t n = *(size_t *)extra[3];
  const unsigned char *p = extra[1];
  address to;
  memcpy(&to, p, sizeof to);
  char *out = (char *)(uintptr_t)to;
  out += sprintf(out, "%s: %u %u %u by %u %u %u, shared %u of %d, bound %d, flags %u:", function.name, gx, gy, gz, bx, by, bz, shared, function.shared, bound, flags);
  for (size_t i = 8; i < n; i++) out += sprintf(out, " %02x", p[i]);
  return SUCCESS;
}

int paperLive(void) { return live; }
