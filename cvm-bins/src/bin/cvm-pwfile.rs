//! See `cvm-pwfile --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::pwfile::main()
}
