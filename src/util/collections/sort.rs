//! A heap sort that is compiled once. The standard library's sort costs two kilobytes per type.

/// A list that can be sorted by swaps.
trait Swappable {
    fn is_less(&self, a: usize, b: usize) -> bool;
    fn swap(&mut self, a: usize, b: usize);
}

struct Of<'a, T>(&'a mut [T]);

impl<T: Ord> Swappable for Of<'_, T> {
    fn is_less(&self, a: usize, b: usize) -> bool {
        self.0.get(a) < self.0.get(b)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.0.swap(a, b);
    }
}

struct ByText<'a, T>(&'a mut [T], fn(&T) -> &str);

impl<T> Swappable for ByText<'_, T> {
    fn is_less(&self, a: usize, b: usize) -> bool {
        self.0.get(a).map(self.1) < self.0.get(b).map(self.1)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.0.swap(a, b);
    }
}

/// Sorts; the order of equal items is unspecified.
pub fn sort<T: Ord>(items: &mut [T]) {
    heap(items.len(), &mut Of(items));
}

/// As [`sort`], by a text of each item.
pub fn sort_by_text<T>(items: &mut [T], text: fn(&T) -> &str) {
    heap(items.len(), &mut ByText(items, text));
}

// Its worst case is close to its average, and it needs no memory.
fn heap(len: usize, items: &mut dyn Swappable) {
    // Lists are often in order, and a heap sort gains nothing by that.
    if (1..len).all(|at| !items.is_less(at, at.saturating_sub(1))) {
        return;
    }
    for root in (0..len / 2).rev() {
        sink(root, len, items);
    }
    for end in (1..len).rev() {
        items.swap(0, end);
        sink(0, end, items);
    }
}

fn sink(mut root: usize, end: usize, items: &mut dyn Swappable) {
    loop {
        let mut child = root.saturating_mul(2).saturating_add(1);
        if child >= end {
            return;
        }
        let other = child.saturating_add(1);
        if other < end && items.is_less(child, other) {
            child = other;
        }
        if !items.is_less(root, child) {
            return;
        }
        items.swap(root, child);
        root = child;
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::{sort, sort_by_text};

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        let mut dice = 0x2545_f491_4f6c_dd1d_u64;
        for len in (0..70).chain([1000]) {
            let mut items: Vec<u64> = Vec::new();
            for _ in 0..len {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                items.push(dice % 100);
            }
            let mut sorted = items.clone();
            sorted.sort_unstable();
            sort(&mut items);
            assert_eq!(items, sorted);
        }
    }

    #[test]
    fn what_is_in_order_but_for_one_item_is_sorted() {
        let in_order: Vec<u64> = (0..50).map(|at| at / 2).collect();
        for (from, to) in [(0, 0), (0, 49), (48, 49), (49, 0), (10, 30)] {
            let mut items = in_order.clone();
            items.swap(from, to);
            sort(&mut items);
            assert_eq!(items, in_order, "{from} and {to}");
        }
    }

    #[test]
    fn it_sorts_by_a_text_alone() {
        let mut items = [("b", 1), ("a", 3), ("c", 2)];
        sort_by_text(&mut items, |(text, _)| text);
        assert_eq!(items, [("a", 3), ("b", 1), ("c", 2)]);
    }
}
