//! A page as it is drawn: elements in z-order, found by id or by place, and what changed. Made of what the document says; whoever holds one
//! keeps it up to date with [`PageDelta`]s and needs no document.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Rect};
use crate::id::{ElementId, PageId};
use crate::order::OrderKey;
use crate::shape::{Binding, Element, Hold, Kind};

type Spot = GeomWithData<Rectangle<[f32; 2]>, ElementId>;

/// What changed on a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageDelta {
    /// Where.
    pub page: PageId,
    /// Elements that are new or look different, as they now are.
    #[serde(with = "shared")]
    pub changed: Vec<Arc<Element>>,
    /// Elements that are gone.
    pub removed: Vec<ElementId>,
}

/// Shared elements as plain ones.
pub mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::shape::Element;

    /// For `#[serde(with)]`.
    pub fn serialize<S: Serializer>(elements: &[Arc<Element>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(elements.iter().map(AsRef::as_ref))
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<Element>>, D::Error> {
        Ok(Vec::<Element>::deserialize(deserializer)?.into_iter().map(Arc::new).collect())
    }
}

impl PageDelta {
    /// Nothing did.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

/// The elements of one page. Cloning one copies an entry for each element, not the elements.
#[derive(Debug, Clone, Default)]
pub struct PageView {
    order: BTreeMap<(OrderKey, ElementId), Arc<Element>>,
    by_id: HashMap<ElementId, Arc<Element>>,
    places: RTree<Spot>,
    /// Arrows by what they hold on to.
    bound: HashMap<ElementId, HashSet<ElementId>>,
    version: u64,
}

impl PageView {
    /// Of elements in any order.
    pub fn from_elements(elements: Vec<Arc<Element>>) -> Self {
        let mut view = Self::default();
        let spots = elements.iter().map(spot).collect();
        view.places = RTree::bulk_load(spots);
        for element in elements {
            view.index(element);
        }
        view
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Goes up with every change: what is cached for a lower one is out of date.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// An element.
    pub fn get(&self, id: &ElementId) -> Option<&Arc<Element>> {
        self.by_id.get(id)
    }

    /// All elements, the lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Element>> {
        self.order.values()
    }

    /// Elements whose bounds touch a box of the page, the lowest first.
    pub fn in_rect(&self, rect: Rect) -> Vec<&Arc<Element>> {
        let envelope = AABB::from_corners([rect.x0, rect.y0], [rect.x1, rect.y1]);
        let mut found: Vec<&Arc<Element>> =
            self.places.locate_in_envelope_intersecting(envelope).filter_map(|spot| self.by_id.get(&spot.data)).collect();
        found.sort_by(|one, other| (&one.z, one.id).cmp(&(&other.z, other.id)));
        found
    }

    /// The smallest box around everything; `None` on an empty page.
    pub fn bounds(&self) -> Option<Rect> {
        self.by_id.values().map(|element| element.bounds()).reduce(|one, other| one.union(&other))
    }

    /// The elements of a frame, the lowest first.
    pub fn in_frame(&self, frame: ElementId) -> impl Iterator<Item = &Arc<Element>> {
        self.iter().filter(move |element| element.frame == Some(frame))
    }

    /// Arrows that hold on to an element.
    pub fn bound_to(&self, target: &ElementId) -> impl Iterator<Item = &Arc<Element>> {
        self.bound.get(target).into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    /// The points of a stroke, line or arrow on the page, the ends of an arrow where they hold on to something.
    pub fn points(&self, element: &Element) -> Vec<Point> {
        let mut points = element.page_points();
        if element.kind != Kind::Arrow || points.len() < 2 {
            return points;
        }
        let last = points.len() - 1;
        let ends = [(element.start, 0, 1), (element.end, last, last - 1)];
        // Both fixed points first, since each outline is crossed on the way from the other end.
        for (binding, at, _) in ends {
            if let Some(fixed) = binding.and_then(|binding| self.fixed_point(&binding))
                && let Some(point) = points.get_mut(at)
            {
                (point.x, point.y) = fixed;
            }
        }
        let aimed = points.clone();
        for (binding, at, beside) in ends {
            let Some(binding) = binding.filter(|binding| binding.hold == Hold::Outline) else { continue };
            let (Some(target), Some(from), Some(point)) = (self.get(&binding.target), aimed.get(beside), points.get_mut(at))
            else {
                continue;
            };
            if let Some(crossing) = crate::outline::crossing(target, (from.x, from.y), (point.x, point.y)) {
                (point.x, point.y) = crossing;
            }
        }
        points
    }

    /// Brings the page up to date.
    pub fn apply(&mut self, delta: &PageDelta) {
        for id in &delta.removed {
            self.remove(id);
        }
        for element in &delta.changed {
            self.remove(&element.id);
            self.places.insert(spot(element));
            self.index(element.clone());
        }
        if !delta.is_empty() {
            self.version += 1;
        }
    }

    /// Places in the z-order.
    pub(crate) fn spots<'a>(
        &'a self,
        range: (Bound<&'a (OrderKey, ElementId)>, Bound<&'a (OrderKey, ElementId)>),
    ) -> impl DoubleEndedIterator<Item = &'a (OrderKey, ElementId)> {
        self.order.range::<(OrderKey, ElementId), _>(range).map(|(spot, _)| spot)
    }

    fn fixed_point(&self, binding: &Binding) -> Option<(f32, f32)> {
        let target = self.get(&binding.target)?.transform;
        Some(target.turn((target.x + binding.fx * target.w, target.y + binding.fy * target.h)))
    }

    fn index(&mut self, element: Arc<Element>) {
        for binding in [element.start, element.end].into_iter().flatten() {
            self.bound.entry(binding.target).or_default().insert(element.id);
        }
        self.order.insert((element.z.clone(), element.id), element.clone());
        self.by_id.insert(element.id, element);
    }

    fn remove(&mut self, id: &ElementId) {
        let Some(element) = self.by_id.remove(id) else { return };
        self.places.remove(&spot(&element));
        for binding in [element.start, element.end].into_iter().flatten() {
            if let Some(arrows) = self.bound.get_mut(&binding.target) {
                arrows.remove(id);
                if arrows.is_empty() {
                    self.bound.remove(&binding.target);
                }
            }
        }
        self.order.remove(&(element.z.clone(), *id));
    }
}

fn spot(element: &Arc<Element>) -> Spot {
    let bounds = element.bounds();
    GeomWithData::new(Rectangle::from_corners([bounds.x0, bounds.y0], [bounds.x1, bounds.y1]), element.id)
}
