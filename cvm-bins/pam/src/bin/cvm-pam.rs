//! See `cvm-pam --help`.

#![cfg_attr(target_env = "gnu", no_main)]

cvm_bins::entry!(cvm_pam::program::main);
