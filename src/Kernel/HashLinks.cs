namespace Xfrmd.Kernel;

/// <summary>Where an entry of a <see cref="HashTable{T, TKey}"/> leads on to; which of the two counts, the table knows.</summary>
internal struct HashLinks<T> where T : class
{
    public T? Even;
    public T? Odd;
}
