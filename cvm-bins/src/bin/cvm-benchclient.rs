//! See `cvm-benchclient --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::benchclient::main()
}
