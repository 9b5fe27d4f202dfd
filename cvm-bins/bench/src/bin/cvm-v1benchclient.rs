//! See `cvm-v1benchclient --help`.

#![cfg_attr(target_env = "gnu", no_main)]

cvm_bins::entry!(cvm_bench::benchclient::main_v1);
