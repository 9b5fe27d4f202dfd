//! See `cvm-testclient --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::testclient::main()
}
