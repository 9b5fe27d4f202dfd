//! See `cvm-quickstart --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::quickstart::main()
}
