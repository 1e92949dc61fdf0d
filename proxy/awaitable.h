// SPDX-License-Identifier: Apache-2.0
// Coroutines of the I/O threads. Their executor is an io_context's own: the type-erased one that Asio takes by default
// costs some hundred instructions for each operation.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace crossfade::proxy {

using IoExecutor = boost::asio::io_context::executor_type;
template <typename T>
using awaitable = boost::asio::awaitable<T, IoExecutor>;
inline constexpr boost::asio::use_awaitable_t<IoExecutor> kAwait;
inline constexpr auto kAsTuple = boost::asio::as_tuple(kAwait);  // errors are values
// The same without a coroutine frame of its own: the operation is begun by co_await itself.
inline constexpr auto kAsTupleDirect = boost::asio::as_tuple(boost::asio::deferred);

}  // namespace crossfade::proxy
