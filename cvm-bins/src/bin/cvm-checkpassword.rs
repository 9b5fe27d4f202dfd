//! See `cvm-checkpassword --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::checkpassword::main()
}
