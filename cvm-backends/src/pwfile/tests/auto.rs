//! Tables in which each password has its own form.

use super::*;

const SSHA: &str = "{SSHA}1ZJC7/U24CQI20g7ZQhIKKVzg0h6LBL+";

fn server() -> Server {
    let content = format!(
        "plain:{{PLAIN}}secret:1:1:::\nssha:{SSHA}:1:1:::\ndes:{DES}:1:1:::\nbare:secret:1:1:::\nlocked:!{DES}:1:1:::\n"
    );
    Server::new(content, Comparison::Auto, Policy::Authenticate)
}

#[test]
fn each_password_is_compared_by_its_form() {
    let server = server();
    for account in ["plain", "ssha", "des"] {
        assert_eq!(server.login(account, "secret"), Code::SUCCESS, "{account}");
        assert_eq!(server.login(account, "secre"), Code::REJECTED, "{account}");
    }
    assert_eq!(server.login("plain", "{PLAIN}secret"), Code::REJECTED);
    assert_eq!(server.login("locked", "secret"), Code::REJECTED);
    assert_eq!(server.said.take(), Vec::<String>::new());
    assert_eq!(server.login("bare", "secret"), Code::REJECTED, "what has no form is not plain text");
    assert_eq!(server.said.take(), ["a stored password has an unknown form, its account is refused"]);
}

#[test]
fn plain_text_answers_challenges_and_what_cannot_is_told_once() {
    let server = server();
    let challenge = |account: &str, password: &[u8]| {
        let response = Mechanism::CramMd5.response(b"<c>", password);
        server.code(&[(1, account.as_bytes()), (5, b"<c>"), (6, &response), (7, b"CRAM-MD5")])
    };
    assert_eq!(challenge("plain", b"secret"), Code::SUCCESS);
    assert_eq!(challenge("plain", b"{PLAIN}secret"), Code::REJECTED);
    assert_eq!(server.said.take(), Vec::<String>::new());
    for account in ["ssha", "des"] {
        assert_eq!(challenge(account, b"secret"), Code::REJECTED, "{account}");
        assert_eq!(challenge(account, SSHA.as_bytes()), Code::REJECTED, "{account}");
    }
    assert_eq!(server.said.take(), ["a stored password that is not plain text cannot answer challenges"]);
    assert_eq!(challenge("nobody", b"secret"), Code::REJECTED);
}
