//! See `cvm-v1testclient --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::testclient::main_v1()
}
