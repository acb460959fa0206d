namespace Xfrmd.Kernel;

/// <summary>
/// A hash table whose entries carry their own links (<c>struct hlist_node</c>), newest first in a chain. Readers take no lock and wait for
/// nobody; writers come one at a time under <see cref="XfrmNamespace.Gate"/>. An entry has two links: while the chains of a larger table are
/// made of one, readers walk those of the other.
/// </summary>
internal sealed class HashTable<T, TKey> where T : class where TKey : struct, IHashed<T>
{
    // An empty table is given back where it was a large one; who adds and removes some thousands in turn finds it as it was.
    private const int Smallest = 32, Kept = 32768;
    private volatile Chains _chains = new(new Slot[Smallest], isOdd: false);

    public int Count { get; private set; }

    /// <summary>
    /// What a reader walks. Where it found nothing and <see cref="HasChanged"/> says so, it may have stood on a link that was needed again, and
    /// looks once more.
    /// </summary>
    public Chains Current => _chains;

    public bool HasChanged(ref Chains seen)
    {
        Chains before = seen;
        seen = _chains;
        return seen != before;
    }

    public void Add(T entry)
    {
        if (Count >= _chains.Heads.Length)
        {
            Grow();
        }
        Count++;
        _chains.Push(entry);
    }

    public void Remove(T entry)
    {
        _chains.Remove(entry);
        if (--Count == 0 && _chains.Heads.Length > Kept)
        {
            Clear();
        }
    }

    public void Clear()
    {
        Count = 0;
        _chains = new Chains(new Slot[Smallest], _chains.IsOdd);
    }

    private void Grow()
    {
        int slots = _chains.Heads.Length;
        Chains larger = new(new Slot[slots < Kept ? slots * 4 : slots * 2], !_chains.IsOdd);
        Stack<T> chain = [];
        foreach (Slot slot in _chains.Heads)
        {
            for (T? entry = slot.Head; entry is not null; entry = _chains.Next(entry))
            {
                chain.Push(entry);
            }
            while (chain.TryPop(out T? oldest))
            {
                larger.Push(oldest);
            }
        }
        _chains = larger;
    }

    // A structure, as an array of objects looks at the type of each that it is given.
    internal struct Slot
    {
        public T? Head;
    }

    internal sealed class Chains(Slot[] heads, bool isOdd)
    {
        private readonly int _shift = 32 - System.Numerics.BitOperations.Log2((uint)heads.Length);

        public Slot[] Heads { get; } = heads;

        public bool IsOdd { get; } = isOdd;

        public T? First(uint hash) => Volatile.Read(ref Heads[hash >> _shift].Head);

        public T? Next(T entry) => Volatile.Read(ref LinkOf(entry));

        public void Push(T entry)
        {
            ref T? head = ref Heads[TKey.HashOf(entry) >> _shift].Head;
            LinkOf(entry) = head;
            Volatile.Write(ref head, entry);
        }

        // It still leads on to the next, for readers that stand on it.
        public void Remove(T entry)
        {
            ref T? link = ref Heads[TKey.HashOf(entry) >> _shift].Head;
            while (link is { } present)
            {
                if (present == entry)
                {
                    Volatile.Write(ref link, LinkOf(entry));
                    return;
                }
                link = ref LinkOf(present);
            }
        }

        private ref T? LinkOf(T entry)
        {
            ref HashLinks<T> links = ref TKey.LinksOf(entry);
            return ref IsOdd ? ref links.Odd : ref links.Even;
        }
    }
}
