//! See `cvm-unix --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::unix::main()
}
