/* A tree of topic levels, whose children are all found by one hash over (parent, level). The subscriptions and the retained
 * messages each keep one, with nodes of their own that start with struct midge_tree_node. Node 0 is the root. */
#ifndef MIDGE_TREE_H
#define MIDGE_TREE_H

#include "names.h"
#include "table.h"

struct midge_tree_node {
    midge_index bucket_next;
    midge_index parent;
    midge_index name;
    midge_index uses; /* its children, and whatever the owner counts: a node with none is to be removed */
    uint16_t name_size;
};

struct midge_tree {
    struct midge_pool nodes;
    struct midge_table table;
    struct midge_names *names;
    uint64_t key; /* of the hash */
};

/* Completes a tree that has its nodes and buckets, and is zeroed but for them. The first of the nodes becomes the root, which
 * is entry 0 of the pool from now on. */
void midge_tree_init(struct midge_tree *tree, struct midge_names *names, uint64_t key);

static inline struct midge_tree_node *midge_tree_at(const struct midge_tree *tree, midge_index node)
{
    return midge_pool_at(&tree->nodes, node);
}

/* Returns the child of `parent` with this level, 0 where there is none. */
midge_index midge_tree_find(const struct midge_tree *tree, midge_index parent, const uint8_t *level, uint32_t size);

/* Goes down from the root along the levels of a path, from the one at *offset <= path.size + 1 on, as far as the nodes exist.
 * Returns the last one; *offset is then the level that is missing below it, beyond the end where none is. */
midge_index midge_tree_follow(const struct midge_tree *tree, struct midge_view path, uint32_t *offset);

/* Adds a child that is not there yet, zeroed behind its struct midge_tree_node, without uses, and counts it as a use of the
 * parent. Returns 0 where nodes or names are dry. size is 0 .. 65,535. */
midge_index midge_tree_add(struct midge_tree *tree, midge_index parent, const uint8_t *level, uint32_t size);

/* Removes a node without uses, and its use of the parent. Returns the parent. */
midge_index midge_tree_remove(struct midge_tree *tree, midge_index node);

/* The number of levels from the root to this node: 1 for a child of the root. */
uint32_t midge_tree_depth(const struct midge_tree *tree, midge_index node);

/* Writes the path from the root to this node, levels joined by slashes, so that it ends before `end`. Returns where it begins.
 */
uint8_t *midge_tree_path(const struct midge_tree *tree, midge_index node, uint8_t *end);

#endif
