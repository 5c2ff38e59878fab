-- Operations that need the value before them, and which message said so: one of them that counted twice would be wrong. Numbers say in which
-- order operations count at one instant, but for unset, which comes before set.
ALTER TABLE profile_changes ${on_cluster}
    MODIFY COLUMN op Enum8(
        'delete' = -2, 'clear_all' = -1, 'set' = 1, 'set_once' = 2, 'unset' = 3, 'remove' = 4, 'add' = 5, 'append' = 6, 'prepend' = 7, 'union' = 8,
        'post_insert' = 9, 'pre_insert' = 10
    ),
    ADD COLUMN id UUID COMMENT 'the message that said so, as of the edges';

ALTER TABLE identity_edges ${on_cluster} COMMENT COLUMN how 'identify, same-event, alias or merge';
