//! See `cvm-qmail --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::qmail::main()
}
