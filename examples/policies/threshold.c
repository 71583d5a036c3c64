/* A placement policy in a shared object: dense layers that compute enough go to the first GPU, the rest stays.
 *
 * Build:    cc -std=c11 -O2 -shared -fPIC -I../../partitioner/policies threshold.c -o libthreshold.so
 * Use:      sparse-run model.onnx --policy ./libthreshold.so:megaflops=50 --topology ../topologies/workstation.json \
 *             --dry-run --explain
 * Compare:  placement-bench --policy ./libthreshold.so model.onnx
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy_abi.h"

static double number(const char* parameters, const char* key, double fallback) {
  const char* found = strstr(parameters, key);
  return found != NULL && found[strlen(key)] == '=' ? atof(found + strlen(key) + 1) : fallback;
}

uint32_t sparse_run_policy_abi(void) { return SPARSE_RUN_POLICY_ABI_VERSION; }

int32_t sparse_run_policy_place(const sparse_run_problem* problem, int32_t* device_of_node, char* message,
                                size_t message_size) {
  const double heavy = 1e6 * number(problem->parameters, "megaflops", 20);
  int32_t gpu = 0;
  if (heavy < 0) {
    snprintf(message, message_size, "megaflops has to be positive");
    return 1;
  }
  while (gpu < problem->device_count && !problem->devices[gpu].is_gpu) ++gpu;
  for (int32_t node = 0; node < problem->node_count; ++node) {
    const sparse_run_node* work = &problem->nodes[node];
    const uint8_t* allowed = problem->allowed + (size_t)node * (size_t)problem->device_count;
    int32_t device = 0;
    if (gpu < problem->device_count && work->dense_flops > heavy && work->zeros < 0.8) device = gpu;
    for (int32_t other = 0; !allowed[device] && other < problem->device_count; ++other) {
      if (allowed[other]) device = other; /* pins, and what a device cannot hold */
    }
    device_of_node[node] = device;
  }
  return 0;
}
