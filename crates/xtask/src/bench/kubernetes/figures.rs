//! Figures of each controller, and what they should be.

use super::super::Measure;

/// The most that a route may take until it is served, in ms.
const SERVED: [(usize, f64); 2] = [(1_000, 40.0), (3_000, 80.0)];

/// A figure, and what it should be at most.
#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    target: Option<f64>,
}

/// The figures of one controller, in the order in which they are measured.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Figure>);

impl Figures {
    /// Takes one that has no target.
    pub(super) fn add(&mut self, name: String, value: f64, unit: &'static str) {
        self.add_with(name, value, unit, None);
    }

    /// Takes one, and says it.
    pub(super) fn add_with(&mut self, name: String, value: f64, unit: &'static str, target: Option<f64>) {
        eprintln!("    {name}: {value:.1} {unit}");
        self.0.push(Figure { name, value, unit, target });
    }

    /// Ours against their targets, each followed by the same of the peer.
    pub(super) fn beside(self, peer: Option<(&str, &Self)>) -> Vec<Measure> {
        let mut measures = Vec::new();
        for Figure { name, value, unit, target } in self.0 {
            let same = peer.and_then(|(peer, theirs)| {
                let figure = theirs.0.iter().find(|figure| figure.name == name)?;
                Some(Measure::alone(format!("  {peer}: {name}"), figure.value, unit))
            });
            measures.push(match target {
                Some(target) => Measure::against(name, value, unit, target),
                None => Measure::alone(name, value, unit),
            });
            measures.extend(same);
        }
        measures
    }
}

/// Within how many ms a route has to be served among so many.
pub(super) fn served_within(routes: usize) -> Option<f64> {
    SERVED.iter().find(|(size, _)| *size == routes).map(|(_, target)| *target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_stands_below_ours() {
        let (mut ours, mut theirs) = (Figures::default(), Figures::default());
        ours.add_with("a".into(), 1.0, "ms", Some(2.0));
        ours.add("b".into(), 3.0, "ms");
        theirs.add("b".into(), 4.0, "ms");
        let measures = ours.beside(Some(("peer", &theirs)));
        let names: Vec<_> = measures.iter().map(|measure| measure.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "  peer: b"]);
        assert_eq!(measures[0].ratio, Some(0.5));
    }
}
