/* The C interface of placement policies in shared objects: what they are given, and what they return. */
#ifndef SPARSE_RUN_POLICY_ABI_H
#define SPARSE_RUN_POLICY_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A library built for another version is refused. */
#define SPARSE_RUN_POLICY_ABI_VERSION 1u

enum { SPARSE_RUN_LATENCY = 0, SPARSE_RUN_THROUGHPUT = 1, SPARSE_RUN_MEMORY = 2 };

typedef struct {
  const char* name;        /**< "cpu", "gpu:0" */
  int32_t is_gpu;
  int32_t rank;            /**< the process it belongs to */
  uint64_t memory_limit;   /**< bytes */
  double dense_gflops;
  double sparse_gflops;    /**< 0: no sparse kernels */
  double dispatch_seconds; /**< for every partition */
} sparse_run_device;

typedef struct {
  const char* name;
  const char* op;
  double dense_flops;      /**< as if no weight were zero */
  double zeros;            /**< share of zeros of the constant weight */
  double weight_bytes;     /**< dense */
  double activation_bytes; /**< read and written */
  int32_t pinned_device;   /**< -1: free */
  int32_t reserved;
} sparse_run_node;

typedef struct {
  int32_t producer; /**< node; -1: an input of the model, on device 0 */
  int32_t reader;   /**< node; -1: an output of the model, wanted on device 0 */
  uint64_t bytes;
} sparse_run_edge;

/** Everything is owned by the caller and valid during the call only. Nodes are in topological order. */
typedef struct {
  uint32_t abi_version;
  int32_t objective;
  uint64_t seed;
  const char* parameters; /**< "key=value,key=value" as typed, or "" */
  int32_t device_count;
  int32_t node_count;
  int32_t edge_count;
  int32_t reserved;
  const sparse_run_device* devices;
  const sparse_run_node* nodes;
  const sparse_run_edge* edges;
  const double* seconds;       /**< predicted, [node * device_count + device] */
  const double* confidence;    /**< 0 … 1, likewise */
  const uint8_t* allowed;      /**< 0 where the node must not be placed, likewise */
  const double* copy_latency;  /**< seconds, [from * device_count + to] */
  const double* copy_per_byte; /**< seconds, likewise */
} sparse_run_problem;

/** Exported by the library: the version it was built for. */
uint32_t sparse_run_policy_abi(void);

/** Exported by the library: writes a device for every node. Returns 0, or anything else after writing a reason of at
 *  most `message_size` bytes, the closing zero included. May be called from several threads at once. */
int32_t sparse_run_policy_place(const sparse_run_problem* problem, int32_t* device_of_node, char* message,
                                size_t message_size);

#ifdef __cplusplus
}
#endif

#endif
