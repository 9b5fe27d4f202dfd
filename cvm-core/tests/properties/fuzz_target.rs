//! The bodies of the fuzz targets hold on random bytes as well, and on bytes that are nearly right.

use cvm_core::challenge::Mechanism;
use cvm_core::testing::{fuzz, strategy};
use proptest::collection::vec;
use proptest::prelude::*;

use super::cases;

/// Declares a test that runs the body of a fuzz target on packets and on random bytes.
macro_rules! fuzz_bodies {
    ($($target:ident),*) => {
        proptest! {
            #![proptest_config(cases(1024))]

            $(
                #[test]
                fn $target(data in prop_oneof![strategy::packet(), vec(any::<u8>(), 0..600), vec(strategy::byte(), 0..64)]) {
                    fuzz::$target(&data);
                }
            )*
        }
    };
}

/// What a client may say, and whether in Base64.
fn said() -> impl Strategy<Value = (bool, String)> {
    let response = "(alice|a b|[a\\x00 ]{0,4})( [0-9a-fA-F]{32}|\\x00alice\\x00[a\\x00]{0,3})?";
    (prop::bool::weighted(0.8), prop_oneof![8 => response, 1 => Just("*".to_owned()), 2 => "[*=A\\r]{0,8}"])
}

fuzz_bodies!(
    request,
    answer,
    round_trip,
    response_v1,
    response_v2,
    framing,
    modules,
    account,
    challenge,
    checkpassword,
    sasl,
    udp
);

proptest! {
    #![proptest_config(cases(1024))]

    #[test]
    fn modules_on_names_that_are_nearly_right(
        list in prop_oneof![
            "(cvm-(udp|local|command|x):|/|x|,){0,3}[a-c:@%/,.]{0,8}",
            "cvm-udp:[a1:%\\[\\]]{0,6}:[0-9]{1,5}",
            "cvm-udp:\\[[1:%\\[\\]]{0,6}\\]:[0-9]{1,5}",
        ]
    ) {
        fuzz::modules(list.as_bytes());
    }

    #[test]
    fn sasl_on_lines_of_clients(
        mechanism in 0..3_u8,
        sizes in vec(0..20_u8, 0..10),
        initial in prop::option::of(said()),
        lines in vec(said(), 0..4),
    ) {
        let mut data = [&[mechanism, u8::try_from(sizes.len()).unwrap()], sizes.as_slice()].concat();
        data.push(initial.is_some().into());
        for (encoded, text) in initial.into_iter().chain(lines) {
            data.extend([encoded.into(), u8::try_from(text.len()).unwrap()]);
            data.extend(text.bytes());
        }
        fuzz::sasl(&data);
    }

    #[test]
    fn checkpassword_on_records_that_are_nearly_right(
        data in "[a@]{0,3}\\x00?([a-f0-9]{31,33}|[a-z]{0,4})\\x00?(<[a-z]{0,3}>)?\\x00?[a-z]{0,2}"
    ) {
        fuzz::checkpassword(data.as_bytes());
    }

    #[test]
    fn account_on_names_of_few_letters(data in "[@%a]{0,12}".prop_map(String::into_bytes)) {
        fuzz::account(&data);
    }

    #[test]
    fn challenge_on_responses_that_are_right_in_some_way(
        (asked, used, form) in (any::<bool>(), any::<bool>(), 0..3_u8),
        (challenge, password) in (vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9)),
        letter_cases in vec(any::<u8>(), 32),
    ) {
        let mechanism = if used { Mechanism::Apop } else { Mechanism::CramMd5 };
        let digest = u128::from_be_bytes(mechanism.response(&challenge, &password));
        let response = match form {
            0 => digest.to_be_bytes().to_vec(),
            1 => format!("{digest:032x}").into_bytes(),
            _ => (digest >> 4 | 0xf << 124).to_be_bytes().to_vec(),
        };
        let counted = |text: &[u8]| [&[u8::try_from(text.len()).unwrap()], text].concat();
        let data = [vec![asked.into()], counted(&challenge), counted(&password), letter_cases, response].concat();
        fuzz::challenge(&data);
    }
}
