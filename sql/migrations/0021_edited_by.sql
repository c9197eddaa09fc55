-- Who edited each version of the catalog, where it was edited in the console.

alter table catalog_versions
  add column edited_by text check (length(edited_by) between 1 and 200);

comment on column catalog_versions.edited_by is
  'Who edited it in the console; null where the file was edited outside.';
