//! Counting the past while somebody waits.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::model::SegmentId;
use crate::store::Store;

const STYLE: &str = "counting the past  {bar:30}  {percent:>3} %  {eta} left";
const REDRAW: Duration = Duration::from_millis(100);

/// Counts until a segment's past is counted, with a progress bar on a terminal. A server may count along: each step is
/// taken by one of the two.
pub(super) async fn until_counted(store: &dyn Store, segment: SegmentId) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(STYLE)?);
    bar.enable_steady_tick(REDRAW);
    loop {
        let counting = store.counting(Some(segment)).await?;
        if counting.segments == 0 {
            break;
        }
        bar.set_length(counting.total);
        bar.set_position(counting.done.min(counting.total));
        store.count_some().await?;
    }
    bar.finish_and_clear();
    Ok(())
}
