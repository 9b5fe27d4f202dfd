//! See `cvm-v1checkpassword --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::checkpassword::main_v1()
}
