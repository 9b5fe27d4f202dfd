//! See `cvm-qmail-authuser --help`.

#![cfg_attr(target_env = "gnu", no_main)]

cvm_bins::entry!(cvm_bins::qmail_authuser::main);
