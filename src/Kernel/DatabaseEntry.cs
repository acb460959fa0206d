namespace Xfrmd.Kernel;

/// <summary>
/// What stands in a <see cref="DatabaseList{T}"/>: it carries its own neighbours, as <c>struct list_head</c> does, so that a million entries
/// need no million nodes.
/// </summary>
public abstract class DatabaseEntry<T> where T : DatabaseEntry<T>
{
    internal DatabaseEntry<T>? NextEntry { get; set; }

    internal DatabaseEntry<T>? PreviousEntry { get; set; }

    internal bool IsListed => NextEntry is not null;
}
