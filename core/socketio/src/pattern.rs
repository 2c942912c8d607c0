//! Patterns of names of namespaces: `/project/{id}`.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

/// Pattern that names of namespaces match, with parameters.
///
/// `{name}` stands for one or more characters but `/`. A segment between two slashes has one of them at the most, with
/// text before and behind it if need be: `/project/{id}`, `/v{version}/chat`. `{*name}` at the end stands for the rest,
/// with its slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Arc<str>),
    Parameter { before: Arc<str>, name: Arc<str>, behind: Arc<str> },
    Rest { before: Arc<str>, name: Arc<str> },
}

/// Values of the parameters of a [`Pattern`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Arc<[(Arc<str>, String)]>);

/// Reason why a text is no [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// It does not begin with a slash.
    #[error("a pattern begins with `/`")]
    NoSlash,
    /// A brace has no partner, or a segment has two parameters.
    #[error("the segment `{0}` has no single `{{name}}`")]
    Braces(String),
    /// A parameter has no name.
    #[error("the segment `{0}` has a parameter without a name")]
    NoName(String),
    /// Two parameters have the same name.
    #[error("two parameters are called `{0}`")]
    Duplicate(String),
    /// `{*name}` is not at the end.
    #[error("`{{*{0}}}` is not at the end")]
    RestNotLast(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// It is none. The error names the place.
    pub fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let path = pattern.strip_prefix('/').ok_or(InvalidPattern::NoSlash)?;
        let segments: Vec<_> = path.split('/').map(Segment::new).collect::<Result<_, _>>()?;
        for (index, segment) in segments.iter().enumerate() {
            let Some(name) = segment.name() else { continue };
            if segments[..index].iter().any(|other| other.name() == Some(name)) {
                return Err(InvalidPattern::Duplicate(name.to_string()));
            }
            if matches!(segment, Segment::Rest { .. }) && index + 1 < segments.len() {
                return Err(InvalidPattern::RestNotLast(name.to_string()));
            }
        }
        Ok(Self { segments })
    }

    /// Matches the name of a namespace.
    ///
    /// Takes as long as the name is.
    pub fn parameters(&self, namespace: &str) -> Option<Parameters> {
        let mut values = Vec::new();
        let mut path = Some(namespace.strip_prefix('/')?);
        for segment in &self.segments {
            let rest = path?;
            let (part, behind) = match rest.split_once('/') {
                Some((part, behind)) => (part, Some(behind)),
                None => (rest, None),
            };
            path = behind;
            let value = match segment {
                Segment::Text(text) if **text == *part => continue,
                Segment::Text(_) => return None,
                Segment::Parameter { before, behind, .. } => {
                    part.strip_prefix(&**before)?.strip_suffix(&**behind)?
                }
                Segment::Rest { before, .. } => {
                    path = None;
                    rest.strip_prefix(&**before)?
                }
            };
            if value.is_empty() {
                return None;
            }
            values.extend(segment.name().map(|name| (Arc::clone(name), value.into())));
        }
        path.is_none().then(|| Parameters(values.into()))
    }
}

impl Segment {
    fn new(text: &str) -> Result<Self, InvalidPattern> {
        let Some((before, rest)) = text.split_once('{') else {
            return match text.contains('}') {
                true => Err(InvalidPattern::Braces(text.into())),
                false => Ok(Self::Text(text.into())),
            };
        };
        let braces = || InvalidPattern::Braces(text.into());
        let (name, behind) = rest.split_once('}').ok_or_else(braces)?;
        if [before, name, behind].iter().any(|part| part.contains(['{', '}'])) {
            return Err(braces());
        }
        let rest = name.strip_prefix('*');
        let name = rest.unwrap_or(name);
        if name.is_empty() {
            return Err(InvalidPattern::NoName(text.into()));
        }
        let (before, name) = (before.into(), Arc::<str>::from(name));
        match rest {
            None => Ok(Self::Parameter { before, name, behind: behind.into() }),
            Some(_) if behind.is_empty() => Ok(Self::Rest { before, name }),
            Some(_) => Err(InvalidPattern::RestNotLast((&*name).into())),
        }
    }

    fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Text(_) => None,
            Self::Parameter { name, .. } | Self::Rest { name, .. } => Some(name),
        }
    }
}

impl Parameters {
    /// Returns the value of the parameter `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| **known == *name)?;
        Some(value)
    }

    /// Iterates over names and values, in the order of the pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pattern: &str, namespace: &str, found: &mut Vec<(String, String)>) -> bool {
        let parameters = Pattern::new(pattern).unwrap().parameters(namespace);
        let Some(parameters) = parameters else { return false };
        found.extend(parameters.iter().map(|(name, value)| (name.into(), value.into())));
        true
    }

    #[test]
    fn name_matches_segment_by_segment() {
        for (pattern, namespace, expected) in [
            ("/", "/", Some(&[][..])),
            ("/chat", "/chat", Some(&[])),
            ("/chat", "/chat/", None),
            ("/chat", "/cha", None),
            ("/chat", "/", None),
            ("/project/{id}", "/project/7", Some(&[("id", "7")])),
            ("/project/{id}", "/project/", None),
            ("/project/{id}", "/project", None),
            ("/project/{id}", "/project/7/8", None),
            ("/{a}/x/{b}", "/1/x/2", Some(&[("a", "1"), ("b", "2")])),
            ("/v{major}-beta/chat", "/v12-beta/chat", Some(&[("major", "12")])),
            ("/v{major}-beta/chat", "/v-beta/chat", None),
            // The text before and behind must not overlap.
            ("/a{b}a", "/a", None),
            ("/files/{*path}", "/files/a/b?c", Some(&[("path", "a/b?c")])),
            ("/files/{*path}", "/files/", None),
            ("/f-{*rest}", "/f-a/b", Some(&[("rest", "a/b")])),
            ("/{name}", "/é", Some(&[("name", "é")])),
            ("/{name}", "no slash", None),
        ] {
            let mut found = Vec::new();
            let matches = parameters(pattern, namespace, &mut found);
            assert_eq!(matches, expected.is_some(), "{pattern} {namespace}");
            let found: Vec<_> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            assert_eq!(found, expected.unwrap_or_default(), "{pattern} {namespace}");
        }
    }

    #[test]
    fn error_names_the_segment() {
        use InvalidPattern::{Braces, Duplicate, NoName, NoSlash, RestNotLast};
        for (pattern, error) in [
            ("", NoSlash),
            ("chat", NoSlash),
            ("/{id", Braces("{id".into())),
            ("/id}", Braces("id}".into())),
            ("/{a}{b}", Braces("{a}{b}".into())),
            ("/{{a}}", Braces("{{a}}".into())),
            ("/x/{}", NoName("{}".into())),
            ("/{*}", NoName("{*}".into())),
            ("/{a}/{a}", Duplicate("a".into())),
            ("/{*a}/b", RestNotLast("a".into())),
            ("/{*a}b", RestNotLast("a".into())),
        ] {
            assert_eq!(Pattern::new(pattern), Err(error), "{pattern}");
        }
    }

    #[test]
    fn parameter_is_found_by_its_name() {
        let parameters = Pattern::new("/{a}/{b}").unwrap().parameters("/1/2").unwrap();
        assert_eq!((parameters.get("a"), parameters.get("b")), (Some("1"), Some("2")));
        assert_eq!(parameters.get("c"), None);
    }
}
