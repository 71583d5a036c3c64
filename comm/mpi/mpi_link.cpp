// Driving MPI from the one thread that may.
#include "comm/mpi/mpi_link.hpp"

#ifdef SPARSE_RUN_WITH_MPI

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <list>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace sparse_run::comm {

namespace {

constexpr std::size_t kLargestPart = std::size_t{1} << 30;  // MPI counts in int
constexpr int kMessageTag = 1;
constexpr std::chrono::microseconds kLookAgain(100);

std::string text_of(int code) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) return fmt::format("MPI error {}", code);
  return {text, static_cast<std::size_t>(length)};
}

void check(int code, const char* what) {
  if (code != MPI_SUCCESS) throw_error(ErrorKind::comm, "{}: {}", what, text_of(code));
}

class MpiLink final : public Link {
 public:
  void open() override {
    int provided = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_SERIALIZED) {
      throw_error(ErrorKind::comm, "this MPI library does not allow a thread of its own (MPI_THREAD_SERIALIZED)");
    }
    // Two communicators, so that messages never meet channels.
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Comm_idup(MPI_COMM_WORLD, &channels_, &request), "MPI_Comm_idup");
    check(await(request), "MPI_Comm_idup");
    check(MPI_Comm_idup(MPI_COMM_WORLD, &messages_, &request), "MPI_Comm_idup");
    check(await(request), "MPI_Comm_idup");
    for (const MPI_Comm communicator : {MPI_COMM_WORLD, channels_, messages_}) {
      check(MPI_Comm_set_errhandler(communicator, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    }
    check(MPI_Comm_rank(channels_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(channels_, &size_), "MPI_Comm_size");
  }
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }

  void send(std::uint64_t token, Address to, std::span<const std::byte> bytes) override {
    for_parts(bytes.size(), [&](std::size_t at, int count) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Isend(bytes.data() + at, count, MPI_BYTE, to.peer, to.channel, channels_, &request), "MPI_Isend");
      add(token, request);
    });
    sending_.insert(token);
  }
  void receive(std::uint64_t token, Address from, std::span<std::byte> bytes) override {
    for_parts(bytes.size(), [&](std::size_t at, int count) {
      MPI_Request request = MPI_REQUEST_NULL;
      check(MPI_Irecv(bytes.data() + at, count, MPI_BYTE, from.peer, from.channel, channels_, &request), "MPI_Irecv");
      add(token, request);
    });
  }
  void cancel(std::uint64_t token) override {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i] != token || requests_[i] == MPI_REQUEST_NULL) continue;
      check(MPI_Cancel(&requests_[i]), "MPI_Cancel");
      // A send that has begun cannot be called back in MPI; it then ends by itself and nobody asks for its token.
      MPI_Request_free(&requests_[i]);
    }
    compact();
    sending_.erase(token);
  }
  void send_bytes(int peer, std::vector<std::byte> bytes) override {
    outgoing_.push_back({std::move(bytes), MPI_REQUEST_NULL});
    Outgoing& message = outgoing_.back();
    if (message.bytes.size() > kLargestPart) throw_error(ErrorKind::comm, "a message above 1 GiB cannot be sent");
    check(MPI_Isend(message.bytes.data(), static_cast<int>(message.bytes.size()), MPI_BYTE, peer, kMessageTag,
                    messages_, &message.request),
          "MPI_Isend");
  }

  void poll(LinkEvents& events) override {
    poll_channels(events);
    poll_outgoing();
    poll_messages(events);
  }
  bool flushed() const override { return outgoing_.empty(); }
  bool moving() const override { return !sending_.empty() || !outgoing_.empty() || !incoming_.empty(); }
  void close() override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibarrier(messages_, &request), "MPI_Ibarrier");
    check(await(request), "MPI_Ibarrier");
    MPI_Comm_free(&channels_);
    MPI_Comm_free(&messages_);
    check(MPI_Finalize(), "MPI_Finalize");
  }

 private:
  struct Outgoing {
    std::vector<std::byte> bytes;
    MPI_Request request;
  };
  struct Incoming {
    int from = 0;
    std::vector<std::byte> bytes;
    MPI_Request request;
  };

  /// Waits for what all ranks do together. MPI's own waiting spins: this thread, which goes before those that compute,
  /// would keep a late rank on the same core from ever coming.
  static int await(MPI_Request& request) {
    for (;;) {
      int done = 0;
      const int code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (code != MPI_SUCCESS || done != 0) return code;
      std::this_thread::sleep_for(kLookAgain);
    }
  }
  template <class Body>
  static void for_parts(std::size_t bytes, const Body& body) {
    std::size_t at = 0;
    do {
      const std::size_t count = std::min(kLargestPart, bytes - at);
      body(at, static_cast<int>(count));
      at += count;
    } while (at < bytes);
  }
  void add(std::uint64_t token, MPI_Request request) {
    tokens_.push_back(token);
    requests_.push_back(request);
    ++parts_[token].left;
  }
  static std::size_t bytes_in(const MPI_Status& status) {
    int count = 0;
    check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
    return static_cast<std::size_t>(count);
  }
  void compact() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      requests_[kept] = requests_[i];
      tokens_[kept++] = tokens_[i];
    }
    requests_.resize(kept);
    tokens_.resize(kept);
  }

  void poll_channels(LinkEvents& events) {
    if (requests_.empty()) return;
    int count = 0;
    indices_.resize(requests_.size());
    statuses_.resize(requests_.size());
    const int code =
        MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, indices_.data(), statuses_.data());
    if (code != MPI_SUCCESS && code != MPI_ERR_IN_STATUS) check(code, "MPI_Testsome");
    if (count == MPI_UNDEFINED || count == 0) return;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t token = tokens_[static_cast<std::size_t>(indices_[static_cast<std::size_t>(i)])];
      const int error = code == MPI_ERR_IN_STATUS ? statuses_[static_cast<std::size_t>(i)].MPI_ERROR : MPI_SUCCESS;
      const auto parts = parts_.find(token);
      if (error != MPI_SUCCESS) {
        events.finished.push_back({token, false, text_of(error), 0});
        parts_.erase(token);
        sending_.erase(token);
        continue;
      }
      if (parts == parts_.end()) continue;
      if (!sending_.contains(token)) parts->second.bytes += bytes_in(statuses_[static_cast<std::size_t>(i)]);
      if (--parts->second.left == 0) {
        events.finished.push_back({token, true, {}, parts->second.bytes});
        parts_.erase(parts);
        sending_.erase(token);
      }
    }
    compact();
  }
  void poll_outgoing() {
    for (auto message = outgoing_.begin(); message != outgoing_.end();) {
      int done = 0;
      check(MPI_Test(&message->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      message = done != 0 ? outgoing_.erase(message) : std::next(message);
    }
  }
  void poll_messages(LinkEvents& events) {
    for (;;) {
      int found = 0;
      MPI_Message handle = MPI_MESSAGE_NULL;
      MPI_Status status;
      check(MPI_Improbe(MPI_ANY_SOURCE, kMessageTag, messages_, &found, &handle, &status), "MPI_Improbe");
      if (found == 0) break;
      int bytes = 0;
      check(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count");
      Incoming message{status.MPI_SOURCE, std::vector<std::byte>(static_cast<std::size_t>(bytes)), MPI_REQUEST_NULL};
      check(MPI_Imrecv(message.bytes.data(), bytes, MPI_BYTE, &handle, &message.request), "MPI_Imrecv");
      incoming_.push_back(std::move(message));
    }
    // In order per sender: a later, shorter message may be here before an earlier, longer one.
    std::vector<bool> held(static_cast<std::size_t>(size_), false);
    for (auto message = incoming_.begin(); message != incoming_.end();) {
      int done = 0;
      const auto sender = static_cast<std::size_t>(message->from);
      if (!held[sender]) check(MPI_Test(&message->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done == 0) {
        held[sender] = true;
        ++message;
        continue;
      }
      events.arrived.push_back({message->from, std::move(message->bytes)});
      message = incoming_.erase(message);
    }
  }

  MPI_Comm channels_ = MPI_COMM_NULL;
  MPI_Comm messages_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::vector<MPI_Request> requests_;  // parallel to tokens_
  std::vector<std::uint64_t> tokens_;
  struct Parts {
    int left = 0;           // requests that have not ended
    std::size_t bytes = 0;  // received so far
  };
  std::unordered_map<std::uint64_t, Parts> parts_;  // by token
  std::unordered_set<std::uint64_t> sending_;       // tokens of sends
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;
  std::list<Outgoing> outgoing_;
  std::list<Incoming> incoming_;
};

}  // namespace

bool built_with_mpi() noexcept { return true; }

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "MPI of unknown version";
  const std::string line(text, static_cast<std::size_t>(length));
  return line.substr(0, line.find_first_of(",\n"));
}

std::unique_ptr<Link> make_mpi_link() { return std::make_unique<MpiLink>(); }

}  // namespace sparse_run::comm

#else

namespace sparse_run::comm {

bool built_with_mpi() noexcept { return false; }
std::string mpi_version() { return {}; }
std::unique_ptr<Link> make_mpi_link() {
  throw_error(
      ErrorKind::usage,
      "this build has no MPI: run one process, or install Open MPI (libopenmpi-dev, openmpi-bin) and build again");
}

}  // namespace sparse_run::comm

#endif
