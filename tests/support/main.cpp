// The main function of every test program; with Catch2 version 2 also Catch2 itself, compiled once.
#define CATCH_CONFIG_MAIN
#include "support/catch.hpp"
