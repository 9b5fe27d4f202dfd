//! See `cvm-pgsql --help`.

#![cfg_attr(target_env = "gnu", no_main)]

cvm_bins::entry!(cvm_sql::pgsql::main);
