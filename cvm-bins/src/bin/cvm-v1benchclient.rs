//! See `cvm-v1benchclient --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::benchclient::main_v1()
}
