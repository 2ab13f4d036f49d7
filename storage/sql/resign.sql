-- takes: owner, epoch
UPDATE term SET owner = NULL WHERE owner = :owner AND epoch = :epoch
