#include "tree.h"

#include "topic.h"

void midge_tree_init(struct midge_tree *tree, struct midge_names *names, uint64_t key)
{
    struct midge_pool *nodes = &tree->nodes;
    nodes->origin += nodes->entry_size;
    nodes->capacity--;
    tree->table.pool = nodes;
    tree->names = names;
    tree->key = key;
}

static uint32_t hash_of(const struct midge_tree *tree, midge_index parent, const uint8_t *level, uint32_t size)
{
    return midge_hash(&tree->key, parent, level, size);
}

midge_index midge_tree_find(const struct midge_tree *tree, midge_index parent, const uint8_t *level, uint32_t size)
{
    if (tree->nodes.used == 0) {
        return 0; /* there need not even be a bucket */
    }
    uint32_t hash = hash_of(tree, parent, level, size);
    midge_index node = midge_table_first(&tree->table, hash);
    while (node != 0) {
        const struct midge_tree_node *n = midge_tree_at(tree, node);
        if (n->parent == parent && n->name_size == size && midge_names_equal(tree->names, n->name, level, size)) {
            break;
        }
        node = midge_table_after(&tree->table, node, hash);
    }
    return node;
}

midge_index midge_tree_follow(const struct midge_tree *tree, struct midge_view path, uint32_t *offset)
{
    midge_index node = 0;
    while (*offset <= path.size) {
        uint32_t size = midge_level_size(path.bytes, path.size, *offset);
        midge_index child = midge_tree_find(tree, node, path.bytes + *offset, size);
        if (child == 0) {
            break;
        }
        node = child;
        *offset += size + 1;
    }
    return node;
}

midge_index midge_tree_add(struct midge_tree *tree, midge_index parent, const uint8_t *level, uint32_t size)
{
    MIDGE_ASSERT(size <= UINT16_MAX);
    midge_index name;
    if (midge_pool_free(&tree->nodes) == 0 || !midge_names_store(tree->names, level, size, &name)) {
        return 0;
    }
    midge_index node = midge_pool_take(&tree->nodes);
    struct midge_tree_node *n = midge_tree_at(tree, node);
    memset(n, 0, tree->nodes.entry_size);
    n->parent = parent;
    n->name = name;
    n->name_size = (uint16_t)size;
    midge_table_add(&tree->table, hash_of(tree, parent, level, size), node);
    midge_tree_at(tree, parent)->uses++;
    return node;
}

midge_index midge_tree_remove(struct midge_tree *tree, midge_index node)
{
    const struct midge_tree_node *n = midge_tree_at(tree, node);
    midge_index parent = n->parent;
    midge_table_remove(&tree->table, node);
    midge_names_release(tree->names, n->name);
    midge_pool_give(&tree->nodes, node);
    struct midge_tree_node *p = midge_tree_at(tree, parent);
    MIDGE_ASSERT(p->uses > 0);
    p->uses--;
    return parent;
}

uint32_t midge_tree_depth(const struct midge_tree *tree, midge_index node)
{
    uint32_t depth = 0;
    for (; node != 0; node = midge_tree_at(tree, node)->parent) {
        depth++;
    }
    return depth;
}

uint8_t *midge_tree_path(const struct midge_tree *tree, midge_index node, uint8_t *end)
{
    for (; node != 0; node = midge_tree_at(tree, node)->parent) {
        const struct midge_tree_node *n = midge_tree_at(tree, node);
        end -= n->name_size;
        midge_names_copy(tree->names, n->name, end, n->name_size);
        if (n->parent != 0) {
            *--end = '/';
        }
    }
    return end;
}
