//! The people's rows: made, given roles, given a password, taken away.

use control_protocol::UtcMillis;

use super::{Place, Role, password};
use crate::{
    params,
    store::{Change, Sql, Store, StoreError, Tx},
};

/// The name of the first administrator.
pub(crate) const FIRST: &str = "admin";
/// The fewest characters of a password (OWASP ASVS 6.2.1 with no second factor).
pub(crate) const SHORTEST: usize = 12;

/// Why a person's row cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BadUser {
    /// The name, the password or a role is against a rule.
    #[error("{0}")]
    Rule(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random source.
    #[error(transparent)]
    Secret(#[from] password::NoSecret),
}

/// Somebody to be added, or whose roles and password are to be set.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name they sign in with.
    pub name: String,
    /// The argon2id hash of their password.
    pub password_hash: String,
    /// Whether they must choose their own password at first.
    pub must_change: bool,
    /// Roles, each with the id of an area or hall.
    pub grants: Vec<(Role, String)>,
}

/// Checks what a person may choose as a password; gives the reason in words when it is refused.
pub fn check_password_rules(name: &str, new: &str) -> Result<(), String> {
    let length = new.chars().count();
    if length < SHORTEST {
        return Err(format!("the password has {length} characters: take at least {SHORTEST}"));
    }
    if length > 256 {
        return Err("the password is longer than 256 characters".into());
    }
    let lower = new.to_lowercase();
    // A name of two or three letters stands in many a good phrase.
    let named = name.chars().count() > 3 && lower.contains(&name.to_lowercase());
    if named || lower.contains("hallwatch") {
        return Err("the password holds your name or the product's: take another".into());
    }
    if new.chars().collect::<std::collections::BTreeSet<_>>().len() < 5 {
        return Err("the password repeats a few characters: take another".into());
    }
    if is_common(&lower) {
        return Err("the password is one of those that are tried first: take a phrase of your own".into());
    }
    Ok(())
}

/// What people build passwords of when they must be long: runs of the keyboard and the words that lists of leaked passwords
/// have most, in English and pinyin. Lower case, letters for the digits that stand for them.
const COMMON: [&str; 44] = [
    "password",
    "passwort",
    "passwd",
    "welcome",
    "administrator",
    "admin",
    "letmein",
    "iloveyou",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "superman",
    "batman",
    "sunshine",
    "princess",
    "master",
    "shadow",
    "michael",
    "jordan",
    "computer",
    "internet",
    "trustno",
    "whatever",
    "starwars",
    "freedom",
    "qwertyuiop",
    "qwerty",
    "asdfghjkl",
    "asdf",
    "zxcvbnm",
    "zxcv",
    "qazwsx",
    "abcdefghijklmnopqrstuvwxyz",
    "abc",
    "woaini",
    "woaizhongguo",
    "zhongguo",
    "mima",
    "nihao",
    "guanliyuan",
    "dating",
    "zhengwu",
    "fuwu",
];

/// Whether nothing but common words, runs of digits and signs is left of a password, or one short part said again and again.
fn is_common(lower: &str) -> bool {
    let letters: Vec<char> = lower.chars().collect();
    let again = (1..=letters.len() / 2)
        .any(|part| letters.iter().skip(part).eq(letters.iter().take(letters.len() - part)));
    if again && letters.len() <= 24 {
        return true;
    }
    let swap = |c: char| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        other => other,
    };
    let plain = |text: &str| {
        let mut rest = text.to_owned();
        for word in COMMON {
            rest = rest.replace(word, "");
        }
        let left =
            rest.chars().filter(|c| !c.is_ascii_digit() && !c.is_ascii_punctuation() && *c != ' ').count();
        // Two or three letters beside common words make nothing strong.
        left == 0 || left < 4 && rest.len() < text.len()
    };
    let swapped: String = lower.chars().map(swap).collect();
    plain(lower) || plain(&swapped)
}

/// A name people sign in with: 1 to 64 characters, none of them a control character or a blank at an end.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=64).contains(&name.chars().count());
    if fits && name.trim() == name && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err("a name has 1 to 64 characters and no blank at its ends".into())
    }
}

/// Adds a person, or sets the password and roles of one who is there. Their sessions end.
pub fn add_user(tx: &mut Tx<'_>, user: &NewUser, now: UtcMillis) -> Result<(), BadUser> {
    check_name(&user.name).map_err(BadUser::Rule)?;
    if user.grants.is_empty() {
        return Err(BadUser::Rule(format!("{} has no role", user.name)));
    }
    tx.execute(
        "INSERT INTO users (name, password_hash, must_change, disabled, created_at) VALUES ($1, $2, $3, 0, $4) \
         ON CONFLICT (name) DO UPDATE SET password_hash = $2, must_change = $3, disabled = 0",
        params![user.name, user.password_hash, user.must_change, now],
    )?;
    set_grants(tx, &user.name, &user.grants)?;
    tx.execute("DELETE FROM sessions WHERE user_name = $1", params![user.name])?;
    Ok(())
}

/// Sets a person's roles.
pub(super) fn set_grants(tx: &mut Tx<'_>, name: &str, grants: &[(Role, String)]) -> Result<(), BadUser> {
    tx.execute("DELETE FROM grants WHERE user_name = $1", params![name])?;
    for (role, scope) in grants {
        if Place::of_scope(tx, scope)?.is_none() {
            return Err(BadUser::Rule(format!("`{scope}` is neither an area nor a hall that is known here")));
        }
        tx.execute(
            "INSERT INTO grants (user_name, role, scope) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            params![name, role.code(), scope],
        )?;
    }
    tx.changes.push(Change::Tree);
    Ok(())
}

/// Sets the password of somebody who is there; their sessions end, but for `keep`. Gives whether there is such a
/// person.
pub fn set_password(
    sql: &mut dyn Sql,
    name: &str,
    hash: &str,
    must_change: bool,
    keep: Option<&[u8]>,
) -> Result<bool, StoreError> {
    let found = sql.execute(
        "UPDATE users SET password_hash = $2, must_change = $3 WHERE name = $1",
        params![name, hash, must_change],
    )?;
    sql.execute(
        "DELETE FROM sessions WHERE user_name = $1 AND token_hash <> $2",
        params![name, keep.unwrap_or_default()],
    )?;
    Ok(found > 0)
}

/// Makes the first administrator, if nobody has a role yet and there is a root area to stand over. Gives the name and
/// the one-time password, to be printed once.
pub async fn first_administrator(store: &Store, now: UtcMillis) -> Result<Option<(String, String)>, BadUser> {
    let root = store
        .read(|sql| -> Result<Option<String>, StoreError> {
            let administrators =
                sql.query("SELECT 1 FROM grants WHERE role = 'administrator' LIMIT 1", params![])?;
            if !administrators.is_empty() {
                return Ok(None);
            }
            let root =
                sql.query_one("SELECT id FROM areas WHERE parent IS NULL ORDER BY id LIMIT 1", params![])?;
            root.map(|row| row.get(0)).transpose()
        })
        .await?;
    let Some(root) = root else { return Ok(None) };
    let secret = password::one_time()?;
    let clear = secret.clone();
    let hash = tokio::task::spawn_blocking(move || password::hash(&clear))
        .await
        .map_err(|_| BadUser::Store(StoreError::Closed))??;
    let user = NewUser {
        name: FIRST.into(),
        password_hash: hash,
        must_change: true,
        grants: vec![(Role::Administrator, root)],
    };
    store.write("first administrator", move |tx| add_user(tx, &user, now)).await?;
    Ok(Some((FIRST.into(), secret)))
}

/// The hash of a password given by the operator. Blocking and slow by design.
pub fn hash_password(clear: &str) -> Result<String, BadUser> {
    Ok(password::hash(clear)?)
}

#[cfg(test)]
mod tests {
    use super::check_password_rules;

    #[test]
    fn what_is_tried_first_is_refused_and_phrases_are_not() {
        for bad in [
            "short",
            "Password1234",
            "P@ssw0rd2026!",
            "qwertyuiop123",
            "123456789012",
            "admin1234567",
            "woaini1314520",
            "abcabcabcabc",
            "1qaz2wsx3edc1qaz2wsx3edc",
            "letmein letmein",
            "Hallwatch-2026",
            "li-hong-is-here",
        ] {
            assert!(check_password_rules("li-hong", bad).is_err(), "{bad}");
        }
        for good in [
            "a long enough phrase",
            "quite another phrase",
            "西乡塘的早餐店不错哦真的",
            "correct horse battery",
            "hall-Window-2026",
        ] {
            assert_eq!(check_password_rules("li-hong", good), Ok(()), "{good}");
        }
    }
}
