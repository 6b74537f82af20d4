#pragma once

/// Everything a user of the client includes.
#include <norikv/admin.hpp>
#include <norikv/client.hpp>
#include <norikv/cluster.hpp>
#include <norikv/error.hpp>
#include <norikv/keys.hpp>
#include <norikv/observable.hpp>
#include <norikv/observer.hpp>
#include <norikv/options.hpp>
#include <norikv/routing.hpp>
#include <norikv/scope.hpp>
#include <norikv/security.hpp>
#include <norikv/stats.hpp>
#include <norikv/types.hpp>
#include <norikv/unique_function.hpp>
#include <norikv/update.hpp>
#include <norikv/vectors.hpp>
#include <norikv/version.hpp>
