//! Colourings of the edges of a bipartite graph that are fair at every vertex.

use hirescam::random::Random;

/// A colour for each edge `(left, right)`, from 0 to `colours` − 1, such that at every vertex the numbers of edges of any two colours differ by at most
/// one. A vertex with as many edges as there are colours has each of them once. Which of all such colourings is drawn by chance.
///
/// Any bipartite graph has such a colouring (de Werra 1971). It is found by taking two colours at a time and dividing their edges anew:
/// the edges are walked along trails, which are given one colour and the other by turns. That makes the sum over vertices and colours of the square of
/// the number of edges smaller each time that a vertex was unfair, so it ends.
pub fn equitable(edges: &[(usize, usize)], colours: usize, random: &mut Random) -> Vec<usize> {
    let mut coloured: Vec<usize> = edges.iter().map(|_| random.below(colours)).collect();
    loop {
        let mut fair = true;
        for one in 0..colours {
            for other in one + 1..colours {
                let of_both: Vec<usize> =
                    (0..edges.len()).filter(|&e| coloured.get(e).is_some_and(|c| *c == one || *c == other)).collect();
                if !is_fair(edges, &coloured, &of_both, one, other) {
                    divide(edges, &mut coloured, &of_both, [one, other], random);
                    fair = false;
                }
            }
        }
        if fair {
            return coloured;
        }
    }
}

fn vertices(edges: &[(usize, usize)]) -> usize {
    edges.iter().map(|&(left, right)| left.max(right) + 1).max().unwrap_or(0)
}

/// Both sides' vertices in one numbering: left ones even, right ones odd.
fn ends(edge: (usize, usize)) -> [usize; 2] {
    [2 * edge.0, 2 * edge.1 + 1]
}

fn is_fair(edges: &[(usize, usize)], coloured: &[usize], of_both: &[usize], one: usize, other: usize) -> bool {
    let mut excess = vec![0i64; 2 * vertices(edges)];
    for &e in of_both {
        let (Some(&edge), Some(&colour)) = (edges.get(e), coloured.get(e)) else { continue };
        let step = i64::from(colour == one) - i64::from(colour == other);
        for end in ends(edge) {
            excess.iter_mut().skip(end).take(1).for_each(|x| *x += step);
        }
    }
    excess.iter().all(|x| x.abs() <= 1)
}

/// Gives the edges of two colours one and the other by turns along trails. A trail begins at a vertex with an odd number of edges left while there
/// is one, so that every vertex is passed through but for the ends; a closed trail in a bipartite graph has an even number of edges.
fn divide(edges: &[(usize, usize)], coloured: &mut [usize], of_both: &[usize], two: [usize; 2], random: &mut Random) {
    let mut at: Vec<Vec<usize>> = vec![Vec::new(); 2 * vertices(edges)];
    for &e in of_both {
        for end in edges.get(e).map_or([0, 0], |&edge| ends(edge)) {
            at.iter_mut().skip(end).take(1).for_each(|there| there.push(e));
        }
    }
    let odd: Vec<usize> = (0..at.len()).filter(|&v| at.get(v).is_some_and(|there| there.len() % 2 == 1)).collect();
    let mut used = vec![false; edges.len()];
    // From odd vertices first; what is left is closed trails.
    for start in odd.into_iter().chain(0..at.len()) {
        let mut vertex = start;
        let mut turn = random.below(2);
        while let Some(e) = next(&mut at, vertex, &used) {
            used.iter_mut().skip(e).take(1).for_each(|u| *u = true);
            coloured.iter_mut().skip(e).take(1).zip(two.iter().cycle().skip(turn)).for_each(|(c, colour)| *c = *colour);
            turn = 1 - turn;
            let [left, right] = edges.get(e).map_or([0, 0], |&edge| ends(edge));
            vertex = if vertex == left { right } else { left };
        }
    }
}

/// An edge at the vertex that was not walked yet.
fn next(at: &mut [Vec<usize>], vertex: usize, used: &[bool]) -> Option<usize> {
    let there = at.get_mut(vertex)?;
    while let Some(e) = there.pop() {
        if used.get(e) == Some(&false) {
            return Some(e);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_vertex_has_each_colour_as_often_as_any_other_but_for_one(
            edges in proptest::collection::vec((0usize..12, 0usize..9), 0..200),
            colours in 1usize..8,
            seed in any::<u64>(),
        ) {
            let coloured = equitable(&edges, colours, &mut Random::of_sample(seed, 0));
            prop_assert_eq!(coloured.len(), edges.len());
            for vertex in 0..24 {
                let mut counts = vec![0usize; colours];
                for (edge, colour) in edges.iter().zip(&coloured) {
                    if ends(*edge).contains(&vertex) {
                        counts[*colour] += 1;
                    }
                }
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                prop_assert!(most - least <= 1, "{:?}", counts);
            }
        }
    }
}
