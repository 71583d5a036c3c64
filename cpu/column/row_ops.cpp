// Row by row, channel by channel: a channel's row of a strip is contiguous.
#include "cpu/column/row_ops.hpp"

#include <algorithm>

namespace sparse_run::cpu {

namespace {

/// Floats from an image's row of channel 0 to the next image.
std::size_t image_stride(const StripShape& shape) {
  return static_cast<std::size_t>(shape.channels) * static_cast<std::size_t>(shape.height) *
         static_cast<std::size_t>(shape.width);
}

/// Where channel c, row r of the first image lies in an NCHW tensor.
std::size_t plain_at(const StripShape& shape, int first_image, int channel, int row) {
  return static_cast<std::size_t>(first_image) * image_stride(shape) +
         (static_cast<std::size_t>(channel) * static_cast<std::size_t>(shape.height) + static_cast<std::size_t>(row)) *
             static_cast<std::size_t>(shape.width);
}

/// body(row, channel) for the rows of the call and the channels of `shape`.
template <class Body>
void over_channels(const RowCall& call, const StripShape& shape, const Body& body) {
  for (int row = call.begin; row < call.end; ++row) {
    for (int channel = 0; channel < shape.channels; ++channel) body(row, channel);
  }
}

float* at(const StripRows& rows, int row, int channel) {
  return rows.row(row) + channel * rows.shape->channel_stride();
}

std::size_t row_floats(const StripShape& shape) { return static_cast<std::size_t>(shape.width * shape.lanes); }

}  // namespace

void PackRows::run(const RowCall& call) const noexcept {
  const StripShape& shape = *call.output.shape;
  const auto images = static_cast<std::size_t>(call.io.images);
  over_channels(call, shape, [&](int row, int channel) {
    float* out = at(call.output, row, channel);
    if (call.io.images < shape.lanes) std::fill(out, out + row_floats(shape), 0.0f);
    kernels_->transpose(call.io.inputs[input_] + plain_at(shape, call.io.first_image, channel, row),
                        image_stride(shape), images, static_cast<std::size_t>(shape.width), out,
                        static_cast<std::size_t>(shape.lanes));
  });
}

void UnpackRows::run(const RowCall& call) const noexcept {
  const StripShape& shape = *call.inputs[0].shape;
  const auto images = static_cast<std::size_t>(call.io.images);
  over_channels(call, shape, [&](int row, int channel) {
    kernels_->transpose(
        at(call.inputs[0], row, channel), static_cast<std::size_t>(shape.lanes), static_cast<std::size_t>(shape.width),
        images, call.io.outputs[output_] + plain_at(shape, call.io.first_image, channel, row), image_stride(shape));
  });
}

void GlobalAverageRows::run(const RowCall& call) const noexcept {
  constexpr int kMostLanes = 16;
  const StripShape& shape = *call.inputs[0].shape;
  const auto lanes = static_cast<std::size_t>(shape.lanes);
  const float area = static_cast<float>(shape.height) * static_cast<float>(shape.width);
  for (int channel = 0; channel < shape.channels; ++channel) {
    float sum[kMostLanes] = {};
    for (int row = 0; row < shape.height; ++row) {
      const float* x = at(call.inputs[0], row, channel);
      for (int position = 0; position < shape.width; ++position, x += lanes) {
        rows_->binary(Binary::add, sum, 1, x, 1, sum, lanes);
      }
    }
    for (int image = 0; image < call.io.images; ++image) {
      call.io.outputs[output_]
                     [static_cast<std::size_t>(call.io.first_image + image) * static_cast<std::size_t>(shape.channels) +
                      static_cast<std::size_t>(channel)] = sum[image] / area;
    }
  }
}

void PoolRows::run(const RowCall& call) const noexcept {
  const StripRows& x = call.inputs[0];
  const StripShape& shape = *call.output.shape;
  StripPoolCall pool;
  pool.kernel_width = window_.kernel_width;
  pool.stride = window_.stride_width;
  pool.dilation = window_.dilation_width;
  pool.pad_left = window_.pad_left;
  pool.in_width = x.shape->width;
  pool.x_channel = x.shape->channel_stride();
  pool.y_channel = shape.channel_stride();
  pool.channels = shape.channels;
  pool.width = shape.width;
  pool.average = average_;
  pool.divisor = average_ && count_padding_ ? window_.taps() : 0;
  for (int row = call.begin; row < call.end; ++row) {
    const float* rows[kMostRows];
    pool.rows = 0;
    for (int kh = 0; kh < window_.kernel_height; ++kh) {
      const int in = row * window_.stride_height - window_.pad_top + kh * window_.dilation_height;
      if (in >= 0 && in < x.shape->height) rows[pool.rows++] = x.row(in);
    }
    pool.x = rows;
    pool.y = call.output.row(row);
    kernels_->pool(pool);
  }
}

void MapRows::run(const RowCall& call) const noexcept {
  over_channels(call, *call.output.shape, [&](int row, int channel) {
    kernels_->map(activation_, at(call.inputs[0], row, channel), at(call.output, row, channel),
                  row_floats(*call.output.shape));
  });
}

void BinaryRows::run(const RowCall& call) const noexcept {
  over_channels(call, *call.output.shape, [&](int row, int channel) {
    kernels_->binary(op_, at(call.inputs[0], row, channel), 1, at(call.inputs[1], row, channel), 1,
                     at(call.output, row, channel), row_floats(*call.output.shape));
  });
}

void ConcatRows::run(const RowCall& call) const noexcept {
  int first = 0;
  for (const StripRows& input : call.inputs) {
    over_channels(call, *input.shape, [&](int row, int channel) {
      const float* x = at(input, row, channel);
      std::copy(x, x + row_floats(*input.shape), at(call.output, row, first + channel));
    });
    first += input.shape->channels;
  }
}

}  // namespace sparse_run::cpu
