//! See `cvm-v1checkpassword --help`.

#![cfg_attr(target_env = "gnu", no_main)]

cvm_bins::entry!(cvm_bins::checkpassword::main_v1);
