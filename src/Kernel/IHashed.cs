namespace Xfrmd.Kernel;

/// <summary>How a <see cref="HashTable{T, TKey}"/> finds its way through entries.</summary>
internal interface IHashed<T> where T : class
{
    static abstract ref HashLinks<T> LinksOf(T entry);

    static abstract uint HashOf(T entry);
}
