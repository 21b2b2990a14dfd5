//! A bound on how deep a statement nests, checked before anything recursive touches it. Pure.
//!
//! `a OR b OR c …` becomes a tree as deep as the chain is long, and parts of planning and evaluation walk it by recursion:
//! a long enough chain would overflow a thread's stack, which ends the whole process. Counting works on tokens alone, so
//! it needs no stack itself. Lists (`IN (…)`, many columns) do not nest and are not limited.

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The deepest nesting allowed. A two-megabyte stack holds it with room to spare, even without optimization.
const DEPTH_MAX: usize = 500;

/// What one pair of parentheses, or one CASE … END, holds.
#[derive(Clone, Copy, Default)]
struct Level {
    is_case: bool,
    /// Operators in a row within the current expression.
    operators: usize,
    /// Joins and set operations in a row.
    relations: usize,
}

impl Level {
    /// What is inside nests in all of this and in the parenthesis itself.
    fn depth(self) -> usize {
        1 + self.operators + self.relations
    }
}

/// Errors: `Plan` when the statement nests too deeply. Text that is no SQL passes; the parser says why.
pub(crate) fn check(text: &str) -> Result<()> {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize() else {
        return Ok(());
    };
    let mut level = Level::default();
    let mut outer: Vec<Level> = Vec::new();
    let mut outer_depth = 0;
    for token in &tokens {
        match role(token) {
            Role::Open { is_case } => {
                outer_depth += level.depth();
                outer.push(level);
                level = Level {
                    is_case,
                    ..Level::default()
                };
            }
            Role::Close { is_case } => {
                // A parenthesis also ends the CASE that was forgotten in it; END never ends a parenthesis.
                while level.is_case || !is_case {
                    let Some(around) = outer.pop() else {
                        break;
                    };
                    outer_depth -= around.depth();
                    let was_case = level.is_case;
                    level = around;
                    if was_case == is_case {
                        break;
                    }
                }
            }
            Role::Operator => level.operators += 1,
            Role::Relation => {
                level.relations += 1;
                level.operators = 0;
            }
            Role::Separator => level.operators = 0,
            Role::Operand => {}
        }
        if outer_depth + level.depth() > DEPTH_MAX {
            let text = format!("statement nests deeper than {DEPTH_MAX} operators");
            return Err(DataFusionError::Plan(text));
        }
    }
    Ok(())
}

enum Role {
    Open {
        is_case: bool,
    },
    Close {
        is_case: bool,
    },
    Operator,
    Relation,
    /// Ends an expression; what follows does not nest in it.
    Separator,
    Operand,
}

fn role(token: &Token) -> Role {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Role::Open { is_case: false },
        Token::RParen | Token::RBracket | Token::RBrace => Role::Close { is_case: false },
        Token::Comma | Token::SemiColon => Role::Separator,
        Token::Word(word) if word.quote_style.is_none() => match word.keyword {
            Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::IN
            | Keyword::BETWEEN
            | Keyword::DIV
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::INTERVAL => Role::Operator,
            Keyword::JOIN
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::EXPLAIN => Role::Relation,
            Keyword::CASE => Role::Open { is_case: true },
            Keyword::END => Role::Close { is_case: true },
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE => Role::Separator,
            _ => Role::Operand,
        },
        Token::Word(_)
        | Token::Number(..)
        | Token::Placeholder(_)
        | Token::Whitespace(_)
        | Token::EOF
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_) => Role::Operand,
        // Every other token combines two operands or changes one.
        _ => Role::Operator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str) -> bool {
        check(text).is_ok()
    }

    #[test]
    fn chains_and_parentheses_count_and_lists_do_not() {
        let terms = |joiner: &str, count| vec!["a"; count].join(joiner);
        assert!(passes(&format!("SELECT {}", terms(" + ", DEPTH_MAX - 2))));
        assert!(!passes(&format!("SELECT {}", terms(" + ", DEPTH_MAX + 2))));
        assert!(!passes(&format!("SELECT {}", terms(" OR ", 100_000))));
        assert!(!passes(&format!(
            "SELECT 1 WHERE {}a",
            "NOT ".repeat(1_000)
        )));
        assert!(!passes(&format!(
            "SELECT {}1{}",
            "(".repeat(1_000),
            ")".repeat(1_000)
        )));
        let case = "CASE WHEN a = 1 THEN 2 ELSE 3 END";
        assert!(passes(&format!(
            "SELECT CASE {} END",
            "WHEN a = 1 THEN 2 ".repeat(10_000)
        )));
        assert!(!passes(&format!("SELECT {}", [case; 1_000].join(" OR "))));
        assert!(!passes(&format!("SELECT {}", "CASE WHEN ".repeat(1_000))));
        assert!(!passes(&format!(
            "SELECT {}",
            terms(" IS DISTINCT FROM ", 1_000)
        )));
        assert!(!passes(&terms("SELECT 1 UNION ALL ", 1_000)));
        assert!(passes(&format!("SELECT a IN ({})", terms(", ", 100_000))));
        assert!(passes(&format!("SELECT {}", terms(" + 1, ", 10_000))));
        assert!(passes(&format!("SELECT {}", terms(" + (1 + 2), ", 10_000))));
    }

    #[test]
    fn unbalanced_text_is_left_to_the_parser() {
        assert!(passes(")))((("));
        assert!(passes("SELECT 'unterminated"));
    }
}
