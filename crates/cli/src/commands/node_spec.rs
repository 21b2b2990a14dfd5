//! `--node-spec`: on which nodes of a cluster something runs: `all`, or `nodes:a,b` (spec/cli.md §9.1).

use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeSpec {
    All,
    Nodes(Vec<String>),
}

impl NodeSpec {
    pub(crate) fn wire(&self) -> Value {
        match self {
            Self::All => json!("all"),
            Self::Nodes(nodes) => json!({ "nodes": nodes }),
        }
    }
}

pub(crate) fn parse(text: &str) -> Result<NodeSpec, String> {
    let wanted = || format!("expected 'all' or 'nodes:<ID>[,<ID>...]', got '{text}'");
    if text == "all" {
        return Ok(NodeSpec::All);
    }
    let nodes = text.strip_prefix("nodes:").ok_or_else(wanted)?;
    let nodes: Vec<String> = nodes
        .split(',')
        .map(|node| node.trim().to_string())
        .collect();
    match nodes.iter().any(String::is_empty) {
        true => Err(wanted()),
        false => Ok(NodeSpec::Nodes(nodes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_all_or_named() {
        assert_eq!(parse("all"), Ok(NodeSpec::All));
        let two = NodeSpec::Nodes(vec!["a".to_string(), "b".to_string()]);
        assert_eq!(parse("nodes:a, b"), Ok(two.clone()));
        assert_eq!(two.wire(), json!({ "nodes": ["a", "b"] }));
        for text in ["", "some", "nodes:", "nodes:a,,b", "node:a"] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }
}
