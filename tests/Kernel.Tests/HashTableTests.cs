namespace Xfrmd.Kernel.Tests;

public sealed class HashTableTests
{
    [Fact]
    public void Entries_are_found_while_the_table_grows_and_shrinks_and_newest_first()
    {
        const int many = 5000, alike = 3;
        HashTable<Entry, ByNumber> table = new();
        List<Entry> entries = [.. Enumerable.Range(0, many * alike).Select(i => new Entry { Number = (uint)(i % many), Age = i })];
        entries.ForEach(table.Add);
        Assert.Equal(many * alike, table.Count);
        Assert.All(Enumerable.Range(0, many), n => Assert.Equal([n + (2 * many), n + many, n], Find(table, (uint)n)));
        entries.FindAll(e => e.Number % 2 == 0).ForEach(table.Remove);
        Assert.Empty(Find(table, 10));
        Assert.Equal(alike, Find(table, 11).Count);
        entries.FindAll(e => e.Number % 2 != 0).ForEach(table.Remove);
        Assert.Equal(0, table.Count);
        table.Add(new Entry { Number = 11, Age = 1 });
        Assert.Equal([1], Find(table, 11));
        table.Clear();
        Assert.Empty(Find(table, 11));
    }

    [Fact]
    public async Task What_stays_is_found_at_each_moment_by_readers_that_take_no_lock()
    {
        HashTable<Entry, ByNumber> table = new();
        Entry[] staying = [.. Enumerable.Range(0, 64).Select(i => new Entry { Number = (uint)i })];
        Array.ForEach(staying, table.Add);
        bool done = false;
        Task<int> reader = Task.Run(() =>
        {
            int missed = 0;
            while (!Volatile.Read(ref done))
            {
                missed += staying.Count(e => Find(table, e.Number).Count != 1);
            }
            return missed;
        });
        for (int round = 0; round < 20; round++)
        {
            Entry[] passing = [.. Enumerable.Range(64, 4000).Select(i => new Entry { Number = (uint)i })];
            Array.ForEach(passing, table.Add);
            Array.ForEach(passing, table.Remove);
        }
        Volatile.Write(ref done, true);
        Assert.Equal(0, await reader);
    }

    private static List<int> Find(HashTable<Entry, ByNumber> table, uint number)
    {
        HashTable<Entry, ByNumber>.Chains chains = table.Current;
        List<int> found = [];
        do
        {
            found.Clear();
            for (Entry? entry = chains.First(ByNumber.Hash(number)); entry is not null; entry = chains.Next(entry))
            {
                if (entry.Number == number)
                {
                    found.Add(entry.Age);
                }
            }
        }
        while (table.HasChanged(ref chains));
        return found;
    }

    private sealed class Entry
    {
        internal HashLinks<Entry> Links;
        public uint Number { get; init; }
        public int Age { get; init; }
    }

    private readonly struct ByNumber : IHashed<Entry>
    {
        public static uint Hash(uint number) => HashMix.Of(number, 0);
        public static ref HashLinks<Entry> LinksOf(Entry entry) => ref entry.Links;
        public static uint HashOf(Entry entry) => Hash(entry.Number);
    }
}
