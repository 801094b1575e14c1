//! Looks at pages whose lengths are encoded as deltas before the library decodes them: it makes room for as many values as
//! such a page says it has.

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

/// A file all of whose pages are looked at.
pub(super) struct CheckedFile<F>(pub(super) F);

impl<F: FileReader> FileReader for CheckedFile<F> {
    fn metadata(&self) -> &ParquetMetaData {
        self.0.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.0.num_row_groups()
    }

    fn get_row_group(&self, index: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(Group(self.0.get_row_group(index)?)))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct Group<'f>(Box<dyn RowGroupReader + 'f>);

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.0.metadata()
    }

    fn num_columns(&self) -> usize {
        self.0.num_columns()
    }

    fn get_column_page_reader(&self, index: usize) -> Result<Box<dyn PageReader>> {
        let schema = self.0.metadata().schema_descr();
        if index >= schema.num_columns() {
            return Err(ParquetError::IndexOutOfBound(index, schema.num_columns()));
        }
        let column = schema.column(index);
        Ok(Box::new(Pages {
            reader: self.0.get_column_page_reader(index)?,
            levels: usize::from(column.max_rep_level() > 0) + usize::from(column.max_def_level() > 0),
        }))
    }

    fn get_column_bloom_filter(&self, index: usize) -> Option<&parquet::bloom_filter::Sbbf> {
        self.0.get_column_bloom_filter(index)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

struct Pages {
    reader: Box<dyn PageReader>,
    /// How many lists of levels stand before the values.
    levels: usize,
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.reader.get_next_page()?;
        if page.as_ref().is_none_or(|page| is_sound(page, self.levels)) {
            Ok(page)
        } else {
            Err(ParquetError::General("a page is damaged".into()))
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.reader.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.reader.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.reader.at_record_boundary()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn is_sound(page: &Page, levels: usize) -> bool {
    let lists = match page.encoding() {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        // How much of the value before is repeated, and the lengths of the rest.
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return true,
    };
    let values = match page {
        Page::DataPage { buf, .. } => behind_levels(buf, levels),
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => {
            let start = def_levels_byte_len.saturating_add(*rep_levels_byte_len);
            usize::try_from(start).ok().and_then(|start| buf.get(start..))
        }
        Page::DictionaryPage { .. } => return true,
    };
    let passed = values.and_then(|values| Deltas(values).pass(lists, page.num_values().into()));
    passed.is_some()
}

/// In the first version of pages each list of levels has its length before it.
fn behind_levels(page: &[u8], levels: usize) -> Option<&[u8]> {
    let mut rest = page;
    for _ in 0..levels {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        rest = behind.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)?;
    }
    Some(rest)
}

/// Whole numbers as differences from one to the next, packed in blocks.
struct Deltas<'a>(&'a [u8]);

impl Deltas<'_> {
    /// Passes over lists of at most `values` numbers; the last one is only begun.
    fn pass(&mut self, lists: usize, values: u64) -> Option<()> {
        for left in (0..lists).rev() {
            let block = self.varint()?;
            let parts = self.varint()?;
            let count = self.varint()?;
            self.varint()?;
            if count > values {
                return None;
            }
            if left > 0 {
                self.blocks(block.checked_div(parts)?, parts, count.saturating_sub(1))?;
            }
        }
        Some(())
    }

    /// Blocks of `parts` parts with `size` numbers each, until `left` numbers are passed.
    fn blocks(&mut self, size: u64, parts: u64, mut left: u64) -> Option<()> {
        while left > 0 {
            self.varint()?;
            let widths = self.0.get(..usize::try_from(parts).ok()?)?;
            self.0 = self.0.get(widths.len()..)?;
            if widths.is_empty() || size == 0 {
                return None;
            }
            for width in widths {
                if left == 0 {
                    break;
                }
                let bytes = size.checked_mul(u64::from(*width))?.div_ceil(8);
                self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
                left = left.saturating_sub(size);
            }
        }
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        super::varint(&mut self.0)
    }
}
