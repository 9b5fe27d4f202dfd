//! See `cvm-chain --help`.

fn main() -> std::process::ExitCode {
    cvm_bins::chain::main()
}
